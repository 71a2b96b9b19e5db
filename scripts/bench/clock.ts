/** Runs programs and says what they took. The kernel counts the processor time of children that have ended. */
import { spawn, spawnSync } from 'node:child_process';
import { dlopen } from 'node:ffi';
import { text } from 'node:stream/consumers';
import { type Netns, within } from '#lib/sys/netns.ts';
import { ScriptFailure } from '#scripts/world/failure.ts';
import type { ProgramStart } from '#scripts/world/plugin-call.ts';

/** sys/resource.h: struct rusage begins with two struct timeval, the user's time and the system's. */
const RUSAGE_CHILDREN = -1;
const RUSAGE_BYTES = 144;

const { functions } = dlopen(null, {
  getrusage: { arguments: ['i32', 'buffer'], return: 'i32' },
});

/** Milliseconds of processor that all children of this process took which have ended. */
export function childrenCpuMs(): number {
  const usage = Buffer.alloc(RUSAGE_BYTES);
  functions.getrusage(RUSAGE_CHILDREN, usage);
  const seconds = usage.readBigInt64LE(0) + usage.readBigInt64LE(16);
  const microseconds = usage.readBigInt64LE(8) + usage.readBigInt64LE(24);
  return Number(seconds) * 1e3 + Number(microseconds) / 1e3;
}

/** A program without environment and input. */
export const bareStart = (program: string, args: readonly string[] = []): ProgramStart => ({
  program,
  args,
  env: {},
  input: '',
});

/** What a program printed, and how long it took from its start to its end. */
export interface Outcome {
  readonly stdout: string;
  readonly wallMs: number;
}

/** Runs a program in a network namespace. @throws ScriptFailure with what it said if it fails */
export function runTimed(netns: Netns, { program, args, env, input }: ProgramStart): Outcome {
  const start = performance.now();
  const ended = within(netns, () => spawnSync(program, args, { env, input }));
  const wallMs = performance.now() - start;
  const { status, stdout, stderr, error } = ended;
  if (status !== 0) throw failure(program, env, error?.message ?? `${stdout}${stderr}`);
  return { wallMs, stdout: stdout.toString() };
}

/** The same without holding up others that run. @returns what it printed @throws ScriptFailure */
export async function runBeside(netns: Netns, start: ProgramStart): Promise<string> {
  const { program, args, env, input } = start;
  const child = within(netns, () => spawn(program, args, { env }));
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('close', resolve).on('error', reject);
  });
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ]);
  if (status !== 0) throw failure(program, env, `${stdout}${stderr}`);
  return stdout;
}

const failure = (program: string, env: ProgramStart['env'], words: string): ScriptFailure =>
  new ScriptFailure(`${env['CNI_COMMAND'] ?? 'a run'} by "${program}" failed: ${words}`);
