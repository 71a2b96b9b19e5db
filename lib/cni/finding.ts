/**
 * Findings: what is not as it should be. CHECK and STATUS answer with the first one; who looks for
 * all of them goes on reading. A check yields them as it meets them, and stops only where nothing
 * more can be asked.
 */
import { CniError, CODE } from './error.ts';

/**
 * One fault, with its code of the specification, and what to do about it (empty: the message says
 * it).
 */
export interface Finding {
  readonly code: number;
  readonly message: string;
  readonly advice: string;
}

/** Findings as they are met; a check that looks something up returns it for the checks after it. */
export type Findings<T = void> = Generator<Finding, T, void>;

/** CHECK: something is not as ADD made it. */
export const broken = (message: string, advice = ''): Finding => ({
  code: CODE.INTERNAL,
  message,
  advice,
});

/** STATUS: the next ADD would fail. */
export const unavailable = (message: string, advice = ''): Finding => ({
  code: CODE.PLUGIN_NOT_AVAILABLE,
  message,
  advice,
});

/** STATUS: pods that run may be cut off. */
export const limited = (message: string, advice: string): Finding => ({
  code: CODE.LIMITED_CONNECTIVITY,
  message,
  advice,
});

/** A check that throws as one that yields: it can find one thing only. */
export function* attempt(check: () => void): Findings {
  try {
    check();
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    const { code, message, details } = error;
    yield { code, message, advice: details };
  }
}

/** @throws CniError for the first finding */
export function throwFirst(findings: Iterable<Finding>): void {
  for (const { code, message, advice } of findings) throw new CniError(code, message, advice);
}
