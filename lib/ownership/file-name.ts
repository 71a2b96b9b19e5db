/** Names of the files that keep an attachment's state. */
import { sha512 } from '#lib/sys/digest.ts';

/** The longest file name that every file system takes, in bytes. */
const LIMIT_BYTES = 255;

/** A colon can be in neither a container ID nor an interface's name. */
export const SEPARATOR = ':';

/**
 * The file name of an attachment: its parts joined, with an ending. A name that would be longer
 * than LIMIT_BYTES is replaced by its SHA-512 digest in hexadecimal digits.
 */
export function stateFileName(
  parts: readonly string[],
  { separator = SEPARATOR, ending = '' }: { separator?: string; ending?: string } = {},
): string {
  const name = parts.join(separator);
  const fits = Buffer.byteLength(name + ending) <= LIMIT_BYTES;
  return `${fits ? name : sha512(name)}${ending}`;
}
