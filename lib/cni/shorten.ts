/**
 * Texts that somebody else chose, cut to what belongs into an error or a log: enough to know them
 * by.
 */

/** What is kept of a value: who typed it knows it again. */
const VALUE_LIMIT = 200;

/** How much of a cut text is its end: there stands what followed, such as the kernel's words. */
const END_SHARE = 0.25;

/** A text, or if it is longer than `limit` characters its beginning and its end. */
export function shorten(text: string, limit: number = VALUE_LIMIT): string {
  if (text.length <= limit) return text;
  const end = Math.floor(limit * END_SHARE);
  const left = text.length - limit;
  return `${text.slice(0, limit - end)}… (${left} more characters) …${text.slice(text.length - end)}`;
}

/** A sentence in which a value stands, with the value cut. */
export const shortenIn = (sentence: string, value: string): string =>
  value.length <= VALUE_LIMIT ? sentence : sentence.replaceAll(value, () => shorten(value));
