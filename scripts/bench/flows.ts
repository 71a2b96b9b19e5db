/**
 * Makes traffic, or takes it, in the network namespace that it is started in, without a library between it and the kernel: `serve
 * PORT`; `connect ADDRESS PORT MS` opens TCP connections one after the other, `send ADDRESS PORT MS` sends UDP packets of one flow,
 * `begin ADDRESS` UDP packets that each begin a flow. All but the first print
 * how many there were, and in how many milliseconds.
 */
import { dlopen, getInt32 } from 'node:ffi';
import { Address } from '#lib/addr/address.ts';

const { functions: libc } = dlopen(null, {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  bind: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  listen: { arguments: ['i32', 'i32'], return: 'i32' },
  accept: { arguments: ['i32', 'u64', 'u64'], return: 'i32' },
  connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
  send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  sendto: { arguments: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'u32'], return: 'i64' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' },
});

/** sys/socket.h, asm-generic/socket.h */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_LINGER = 13;
const BACKLOG = 4096;
const PAYLOAD_BYTES = 64;

/** To as many ports a packet is sent to begin a flow: what the kernel remembers of the runs of half a minute stays below its limit. */
const FLOWS = 20_000;

/** How often the clock is looked at. */
const BETWEEN = 64;

function check(result: number | bigint, what: string): number {
  if (Number(result) >= 0) return Number(result);
  throw new Error(`${what} failed with errno ${getInt32(libc.__errno_location(), 0)}`);
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(Address.parse(address).toBytes(), 4);
  return bytes;
}

function serve(port: number): void {
  const fd = check(libc.socket(AF_INET, SOCK_STREAM, 0), 'socket');
  const on = Buffer.from([1, 0, 0, 0]);
  check(libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, on.length), 'setsockopt');
  const own = socketAddress('0.0.0.0', port);
  check(libc.bind(fd, own, own.length), 'bind');
  check(libc.listen(fd, BACKLOG), 'listen');
  // Packets come, nobody reads them: their way is what is measured.
  const udp = check(libc.socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  check(libc.bind(udp, own, own.length), 'bind');
  console.log('ready');
  // A connection that was broken off before it was taken is one all the same.
  for (;;) {
    const connection = libc.accept(fd, 0n, 0n);
    if (connection >= 0) libc.close(connection);
  }
}

/** How often something was done. */
interface Count {
  readonly count: number;
  readonly ms: number;
}

/** Does something again and again for a time. */
function repeat(ms: number, body: () => void): Count {
  const start = performance.now();
  for (let count = BETWEEN; ; count += BETWEEN) {
    for (let number = 0; number < BETWEEN; number += 1) body();
    const waitedMs = performance.now() - start;
    if (waitedMs >= ms) return { count, ms: waitedMs };
  }
}

function connect(to: Buffer, ms: number): Count {
  // Closed at once and without a trace: ports are used again.
  const linger = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  return repeat(ms, () => {
    const fd = check(libc.socket(AF_INET, SOCK_STREAM, 0), 'socket');
    check(libc.connect(fd, to, to.length), 'connect');
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length);
    libc.close(fd);
  });
}

function send(to: Buffer, ms: number): Count {
  const fd = check(libc.socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  check(libc.connect(fd, to, to.length), 'connect');
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  return repeat(ms, () => void libc.send(fd, payload, BigInt(payload.length), 0));
}

function begin(to: Buffer): Count {
  const fd = check(libc.socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  const start = performance.now();
  for (let port = 1; port <= FLOWS; port += 1) {
    to.writeUInt16BE(port, 2);
    const sent = libc.sendto(fd, payload, BigInt(payload.length), 0, to, to.length);
    check(sent, 'sendto');
  }
  return { count: FLOWS, ms: performance.now() - start };
}

const [mode, ...args] = process.argv.slice(2);
if (mode === 'serve') serve(Number(args[0]));
else {
  const [address = '', port = '0', ms] = args;
  const to = socketAddress(address, Number(port));
  const counted =
    mode === 'begin' ? begin(to) : (mode === 'connect' ? connect : send)(to, Number(ms));
  console.log(JSON.stringify(counted));
}
