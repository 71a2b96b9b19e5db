/** Digests and random bytes. */
import { sysCall } from './libc.ts';

/** SHA-512 as 128 lower-case hexadecimal digits. */
export function sha512(text: string): string {
  // Loaded when it is needed: no other module of Node's takes as long.
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha512').update(text).digest('hex');
}

/** This many random bytes, 256 at most (getrandom(2) gives so many in one piece). @throws SysError */
export function random(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  sysCall('getrandom', (c) => c.getrandom(bytes, BigInt(count), 0));
  return bytes;
}
