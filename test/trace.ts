/** System calls of plugins, by strace: which there were, and calls of plugins that are killed in the middle of them. */
import { readFileSync } from 'node:fs';
import type { CallOptions, TestNode } from './node.ts';

/** Makes a call of a plugin and notes its system calls of these names, separated by commas. @returns the answer's exit status, and a line each */
export async function trace(
  node: TestNode,
  command: string,
  call: CallOptions,
  names: string,
): Promise<{ exitCode: number | undefined; lines: string[] }> {
  const file = node.path(`${command}.strace`);
  const through = ['strace', '-f', '-o', file, '-e', `trace=${names}`];
  const { exitCode } = await node.call(command, { ...call, through });
  return { exitCode, lines: readFileSync(file, 'utf8').split('\n') };
}

/** Programs that a call executed, its own included, and processes that it made which are no threads: the lines of strace. */
export async function processesOf(node: TestNode, command: string, call: CallOptions) {
  const names = 'execve,clone,clone3,fork,vfork';
  const { exitCode, lines } = await trace(node, command, call, names);
  return {
    exitCode,
    executed: lines.filter((line) => /\bexecve\b.*\) = 0$/.test(line)),
    made: lines.filter(
      (line) => /\b(clone3?|v?fork)\(/.test(line) && !line.includes('CLONE_THREAD'),
    ),
  };
}

/** Makes a call of a plugin that is killed at its nth system call of this name. @returns whether it came to that */
export async function killAt(
  node: TestNode,
  command: string,
  call: CallOptions,
  name: string,
  nth: number,
): Promise<boolean> {
  const inject = `inject=${name}:signal=SIGKILL:when=${nth}`;
  const through = ['strace', '-f', '-o', '/dev/null', '-e', `trace=${name}`, '-e', inject];
  const { exitCode } = await node.call(command, { ...call, through });
  return exitCode !== 0;
}
