/** Errors that are an answer: a file that is missing, an interface that is gone. */

/**
 * Tells the errors that a caller expects from others. sysError(), netlinkError() and instanceOf()
 * make such predicates.
 */
export type Expected<E extends Error> = (error: unknown) => error is E;

/**
 * Runs a body. An expected error is no failure: `otherwise` answers in its place, by default with
 * undefined. Any other error passes. At each call a comment, or the function's name, says why the
 * error is expected.
 */
export function recover<T, E extends Error>(body: () => T, isExpected: Expected<E>): T | undefined;
export function recover<T, E extends Error, R>(
  body: () => T,
  isExpected: Expected<E>,
  otherwise: (error: E) => R,
): T | R;
export function recover<T, E extends Error, R>(
  body: () => T,
  isExpected: Expected<E>,
  otherwise?: (error: E) => R,
): T | R | undefined {
  try {
    return body();
  } catch (error) {
    if (!isExpected(error)) throw error;
    return otherwise?.(error);
  }
}

/** Runs a body. @returns whether it succeeded; false for an expected error */
export function succeeds(body: () => void, isExpected: Expected<Error>): boolean {
  const run = (): true => {
    body();
    return true;
  };
  return recover(run, isExpected) ?? false;
}

/** Expects errors of these classes. */
export const instanceOf =
  <K extends readonly (new (...args: never[]) => Error)[]>(
    ...kinds: K
  ): Expected<InstanceType<K[number]>> =>
  (error): error is InstanceType<K[number]> =>
    kinds.some((kind) => error instanceof kind);
