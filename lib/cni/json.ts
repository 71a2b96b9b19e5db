/**
 * JSON texts that somebody else wrote, as values: configurations, results, state. How deep they go
 * has a limit.
 */

import { instanceOf, recover } from '#lib/sys/recover.ts';

/**
 * Configurations are some five levels deep. What walks a value calls itself at each: a text must
 * not exhaust the stack.
 */
const DEPTH_LIMIT = 200;

/** Keys that would change an object's prototype. */
const FORBIDDEN_KEYS = new Set(['__proto__']);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Parses a text; keys that JavaScript takes for its own are left out. @throws SyntaxError that says
 * why it can't be read
 */
export function parseJsonText(text: string): unknown {
  refuseDepth(text);
  return JSON.parse(text, (key, value: unknown) => (FORBIDDEN_KEYS.has(key) ? undefined : value));
}

/**
 * Parses a text; undefined if it is no JSON, or too deep. Keys that JavaScript takes for its own
 * are left out.
 */
export const parseJsonIfAny = (text: string): unknown =>
  recover(() => parseJsonText(text), instanceOf(SyntaxError));

/** Counts brackets outside of strings: in a text that is JSON, that is how deep it goes. */
function refuseDepth(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (OPENING.has(code)) depth += 1;
    else if (CLOSING.has(code)) depth -= 1;
    if (depth > DEPTH_LIMIT) {
      throw new SyntaxError(`it is nested more than ${DEPTH_LIMIT} levels deep`);
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return text.length;
}
