/** Digests and random bytes. */
import { SysError } from './error.ts';
import { sysCall } from './libc.ts';

/** Bytes of a SHA-512 digest. */
const SHA512_BYTES = 64;

/**
 * SHA-512 as 128 lower-case hexadecimal digits. Calls the process's own OpenSSL: node:crypto takes
 * longer to load than any other module of Node's. @throws SysError if OpenSSL is configured without
 * it
 */
export function sha512(text: string): string {
  const [message, digest] = [Buffer.from(text), Buffer.alloc(SHA512_BYTES)];
  const place = sysCall('SHA512', (c) => c.SHA512(message, BigInt(message.length), digest));
  // A digest of zeros would give all attachments the same name.
  if (place === 0n) {
    const reason =
      'OpenSSL has no SHA-512: is OPENSSL_CONF set, or /etc/ssl/openssl.cnf without a provider?';
    throw new SysError('SHA512', 'ENOTSUP', { reason });
  }
  return digest.toString('hex');
}

/**
 * This many random bytes, 256 at most (getrandom(2) gives so many in one piece). @throws SysError
 */
export function random(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  sysCall('getrandom', (c) => c.getrandom(bytes, BigInt(count), 0));
  return bytes;
}
