/** Digests and random bytes. */
import { sysCall } from './libc.ts';

/** Bytes of a SHA-512 digest. */
const SHA512_BYTES = 64;

/** SHA-512 as 128 lower-case hexadecimal digits. By OpenSSL in the process itself: no module of Node's takes as long to load as node:crypto. */
export function sha512(text: string): string {
  const [message, digest] = [Buffer.from(text), Buffer.alloc(SHA512_BYTES)];
  sysCall('SHA512', (c) => c.SHA512(message, BigInt(message.length), digest));
  return digest.toString('hex');
}

/** This many random bytes, 256 at most (getrandom(2) gives so many in one piece). @throws SysError */
export function random(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  sysCall('getrandom', (c) => c.getrandom(bytes, BigInt(count), 0));
  return bytes;
}
