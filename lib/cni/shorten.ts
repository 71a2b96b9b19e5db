/**
 * Texts that somebody else chose, cut to what belongs into an error or a log: enough to know them
 * by.
 */

/** How much of a value is kept: enough to recognize it. */
const VALUE_LIMIT = 200;

/** How much of a cut text is its end, which may be the kernel's words. */
const END_SHARE = 0.25;

/** A text, or if it is longer than `limit` characters its beginning and its end. */
export function shorten(text: string, limit: number = VALUE_LIMIT): string {
  if (text.length <= limit) return text;
  const end = Math.floor(limit * END_SHARE);
  const left = text.length - limit;
  return `${text.slice(0, limit - end)}… (${left} more characters) …${text.slice(text.length - end)}`;
}

/** A sentence that quotes a value, with the value cut. */
export const shortenIn = (sentence: string, value: string): string =>
  value.length <= VALUE_LIMIT ? sentence : sentence.replaceAll(value, () => shorten(value));
