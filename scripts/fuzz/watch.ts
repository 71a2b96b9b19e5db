/** Keeps an eye on the process that does the work: a call that never ends can't be interrupted from within. */
import { readFileSync, statSync } from 'node:fs';
import { execa } from 'execa';
import { CURRENT } from '#test/fuzz/world.ts';

/** Longer than any call may take: kubelet waits two minutes. */
const CALL_LIMIT_MS = 120_000;
const LOOK_EVERY_MS = 1_000;

/** So much of what a program says that dies. */
const LAST_LINES = 30;

/** Runs a script of ours until it ends, or has been at the same call for too long. @returns its exit status */
export async function watch(args: readonly string[]): Promise<number> {
  const flags = ['--disable-warning=ExperimentalWarning'];
  // Plugins tell of what they do on standard error: only a program that died has something to say there.
  const stdio = { stdin: 'ignore', stdout: 'inherit', stderr: 'pipe' } as const;
  const worker = execa(process.execPath, [...flags, ...args], { ...stdio, reject: false });
  const timer = setInterval(() => {
    const since = statSync(CURRENT, { throwIfNoEntry: false })?.mtimeMs;
    if (since === undefined || Date.now() - since < CALL_LIMIT_MS) return;
    console.log(
      `Found: a call that does not end\n${readFileSync(CURRENT, 'utf8').slice(0, 5_000)}`,
    );
    worker.kill('SIGKILL');
  }, LOOK_EVERY_MS);
  const { exitCode, stderr } = await worker;
  clearInterval(timer);
  if (/^Node\.js v/m.test(stderr)) console.log(stderr.split('\n').slice(-LAST_LINES).join('\n'));
  return exitCode ?? 1;
}
