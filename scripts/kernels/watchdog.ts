/** Ends something that takes too long: one limit is for the whole of it, another one starts anew at each sign of life. */

export class Watchdog implements Disposable {
  /** Which limit ran out. */
  reason: string | undefined;
  readonly #abort = new AbortController();
  readonly #whole: NodeJS.Timeout;
  #wait: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#whole = this.#start(limitMs, 'it is not done');
  }

  /** Aborted when a limit runs out. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Starts the next wait, in place of the one before. */
  wait(limitMs: number, complaint: string): void {
    clearTimeout(this.#wait);
    this.#wait = this.#start(limitMs, complaint);
  }

  #start(limitMs: number, complaint: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.reason ??= `${complaint} after ${Math.round(limitMs / 1000)} seconds`;
      this.#abort.abort();
    }, limitMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#whole);
    clearTimeout(this.#wait);
  }
}
