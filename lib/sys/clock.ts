/** Waiting, without letting anything else of this process run. */

/** Blocks the thread for this many milliseconds. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Milliseconds since some moment in the past, never going back. */
export function now(): number {
  // Not `performance`: its first use loads a module of Node's that takes a millisecond.
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** Growing intervals: how long the next sleep is, as a part of the time waited so far. */
const GROWTH = 1 / 20;

/**
 * Asks every `everyMs` until there is an answer or `limitMs` are over. With `slowestMs` the
 * intervals grow up to that. @returns the answer, or undefined at the limit
 */
export function poll<T>(
  ask: () => T | undefined,
  {
    everyMs,
    slowestMs = everyMs,
    limitMs,
  }: { everyMs: number; slowestMs?: number; limitMs: number },
): T | undefined {
  const start = now();
  for (;;) {
    const answer = ask();
    const waitedMs = now() - start;
    if (answer !== undefined || waitedMs >= limitMs) return answer;
    sleep(Math.min(Math.max(everyMs, waitedMs * GROWTH), slowestMs));
  }
}
