/** Programs that the demo runs: as they are, and in a named network namespace. */
import { execaSync } from 'execa';
import { DemoFailure } from './failure.ts';

/** Runs a program. @returns what it wrote to standard output @throws DemoFailure with its last words */
export function run(file: string, args: readonly string[]): string {
  const { failed, stdout, stderr, shortMessage } = execaSync(file, args, { reject: false });
  if (!failed) return stdout;
  throw new DemoFailure(`"${[file, ...args].join(' ')}" failed: ${stderr.trim() || shortMessage}`);
}

/** Runs iproute2's ip. @throws DemoFailure */
export const ip = (...args: string[]): string => run('ip', args);

/** The path of a named network namespace. */
export const netnsPath = (netns: string): string => `/run/netns/${netns}`;

/** The command line that runs a program in a named network namespace. */
export const inNetns = (
  netns: string,
  file: string,
  ...args: string[]
): [file: string, args: string[]] => ['nsenter', [`--net=${netnsPath(netns)}`, file, ...args]];
