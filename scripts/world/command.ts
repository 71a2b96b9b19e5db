/** Programs that scripts and tests run: as they are, in a named network namespace, and files of our own on this Node. */
import { spawnSync } from 'node:child_process';
import { ScriptFailure } from './failure.ts';

/** Runs a program. @returns its standard output without the last newline @throws ScriptFailure with its last words */
export function run(file: string, args: readonly string[], input = ''): string {
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    input,
    encoding: 'utf8',
    maxBuffer: Infinity,
  });
  if (status === 0) return stdout.replace(/\n$/, '');
  const end = signal === null ? `exit status ${status}` : signal;
  const reason = error?.message ?? (stderr.trim() || end);
  throw new ScriptFailure(`"${[file, ...args].join(' ')}" failed: ${reason}`);
}

/** Runs iproute2's ip. @throws ScriptFailure */
export const ip = (...args: string[]): string => run('ip', args);

/** Makes a named network namespace whose loopback is up. @throws ScriptFailure */
export function addNetns(name: string): void {
  ip('netns', 'add', name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
}

/** The path of a named network namespace. */
export const netnsPath = (name: string): string => `/run/netns/${name}`;

/** The command line that runs a program in the network namespace of a path. */
export const inNetns = (
  path: string,
  file: string,
  ...args: readonly string[]
): [file: string, args: string[]] => ['nsenter', [`--net=${path}`, '--', file, ...args]];

/**
 * The command line that runs a file of ours on this Node. The warning that it leaves out is that of node:ffi, which the plugins use:
 * nothing that a newcomer need worry about.
 */
export const ownScript = (
  file: string,
  ...args: readonly string[]
): [file: string, args: string[]] => [
  process.execPath,
  ['--disable-warning=ExperimentalWarning', file, ...args],
];
