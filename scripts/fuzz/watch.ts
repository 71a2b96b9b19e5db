/** Keeps an eye on the process that does the work: a call that never ends can't be interrupted from within. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { CURRENT } from '#test/fuzz/world.ts';
import { ownScript } from '#scripts/world/command.ts';
import type { FuzzOptions } from './options.ts';

const WORKER = join(import.meta.dirname, 'worker.ts');

/** Longer than any call may take: kubelet waits two minutes. */
const CALL_LIMIT_MS = 120_000;
const LOOK_EVERY_MS = 1_000;

/** Lines of standard error that are shown of a worker that gave up or died. */
const LAST_LINES = 30;

/** Runs the worker until it ends, or has been at the same call for too long. @returns its exit status */
export async function watchWorker(options: FuzzOptions): Promise<number> {
  // Plugins tell of what they do on standard error: of that only the end of a program that gave up or died is shown.
  const stdio = { stdin: 'ignore', stdout: 'inherit', stderr: 'pipe' } as const;
  const program = ownScript(WORKER, JSON.stringify(options));
  const worker = execa(...program, { ...stdio, reject: false });
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
  if (/^(?:Node\.js v|fuzz: )/m.test(stderr))
    console.log(stderr.split('\n').slice(-LAST_LINES).join('\n'));
  return exitCode ?? 1;
}
