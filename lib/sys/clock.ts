/** Waiting, without letting anything else of this process run. */

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread for this many milliseconds. */
export function sleep(ms: number): void {
  Atomics.wait(cell, 0, 0, ms);
}

/** Milliseconds since some moment in the past, never going back. */
export function now(): number {
  return performance.now();
}

/**
 * Asks again and again, `everyMs` apart, until there is an answer or `limitMs` are over.
 * @returns the answer, or undefined at the limit
 */
export function poll<T>(
  ask: () => T | undefined,
  { everyMs, limitMs }: { everyMs: number; limitMs: number },
): T | undefined {
  const deadline = now() + limitMs;
  for (;;) {
    const answer = ask();
    if (answer !== undefined || now() >= deadline) return answer;
    sleep(everyMs);
  }
}
