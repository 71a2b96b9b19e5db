/**
 * Sockets by the C library, opened in the namespace that the thread is in. Reads wait with a limit.
 */
import { FileDescriptor } from './file.ts';
import { sysCall } from './libc.ts';

/** sys/socket.h */
export const AF_NETLINK = 16;
export const AF_UNIX = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_NETNS_COOKIE = 71;
const MSG_TRUNC = 0x20;

/** An open socket, closed by `using`. */
export class Socket implements Disposable {
  readonly #file: FileDescriptor;

  /** @throws SysError */
  constructor(family: number, type: number, protocol: number) {
    this.#file = new FileDescriptor(
      sysCall('socket', (c) => c.socket(family, type | SOCK_CLOEXEC, protocol)),
    );
  }

  get #fd(): number {
    return this.#file.fd;
  }

  /** Waits for a datagram this long at most; receive then fails with EAGAIN. @throws SysError */
  setReceiveTimeout(ms: number): void {
    const timeval = Buffer.alloc(16);
    timeval.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
    timeval.writeBigInt64LE(BigInt(ms % 1000) * 1000n, 8);
    this.setOption(SOL_SOCKET, SO_RCVTIMEO, timeval);
  }

  /** @throws SysError */
  setOption(level: number, option: number, value: Uint8Array | number): void {
    const bytes = typeof value === 'number' ? int32(value) : value;
    sysCall('setsockopt', (c) => c.setsockopt(this.#fd, level, option, bytes, bytes.length));
  }

  /**
   * Reads an option into `value`, whose start may be a request. @returns the length that was
   * filled. @throws SysError
   */
  getOption(level: number, option: number, value: Uint8Array): number {
    const length = int32(value.length);
    sysCall('getsockopt', (c) => c.getsockopt(this.#fd, level, option, value, length));
    return length.readInt32LE(0);
  }

  /**
   * The kernel's number of the socket's namespace; no other has it until the next boot.
   * @throws SysError before Linux 5.14
   */
  getNetnsCookie(): bigint {
    const value = Buffer.alloc(8);
    this.getOption(SOL_SOCKET, SO_NETNS_COOKIE, value);
    return value.readBigUInt64LE(0);
  }

  /** Sends one datagram to the peer that the protocol implies. @throws SysError */
  send(bytes: Uint8Array): void {
    sysCall('send', (c) => c.send(this.#fd, bytes, BigInt(bytes.length), 0));
  }

  /**
   * Reads one datagram into `buffer`. @returns its whole length, even if the buffer was shorter.
   * @throws SysError
   */
  receive(buffer: Uint8Array): number {
    return Number(
      sysCall('recv', (c) => c.recv(this.#fd, buffer, BigInt(buffer.length), MSG_TRUNC)),
    );
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  return bytes;
}
