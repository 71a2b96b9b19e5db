/** Digests and random bytes. */
import { createHash, randomBytes } from 'node:crypto';

/** SHA-512 as 128 lower-case hexadecimal digits. */
export function sha512(text: string): string {
  return createHash('sha512').update(text).digest('hex');
}

/** This many random bytes. */
export function random(count: number): Uint8Array {
  return randomBytes(count);
}
