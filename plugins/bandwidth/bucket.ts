/** A limit as the kernel's token bucket has it, by the reference plugin's arithmetic. */
import type { TokenBucket } from '#lib/net/qdisc.ts';
import { readTextIfAny } from '#lib/sys/file.ts';
import type { Limit } from './config.ts';

/** How long a packet may wait in the queue. */
const LATENCY_S = 0.025;

const UINT32_MAX = 0xffff_ffff;

/** Ticks in a microsecond, where the kernel does not say: 64 ns each. */
const TICKS_PER_US = 15.625;

/** The token bucket of a limit. */
export function tokenBucket({ bitsPerSecond, burstBits }: Limit, ticksPerUs: number): TokenBucket {
  const bytesPerSecond = Math.floor(bitsPerSecond / 8);
  const burstBytes = Math.floor(burstBits / 8);
  const microseconds = Math.trunc((burstBytes * 1_000_000) / bytesPerSecond);
  return {
    bytesPerSecond,
    bufferTicks: Math.min(Math.trunc(microseconds * ticksPerUs), UINT32_MAX),
    limitBytes: Math.min(Math.trunc(bytesPerSecond * LATENCY_S) + burstBytes, UINT32_MAX),
  };
}

/** Whether two buckets limit alike. */
export const sameBucket = (a: TokenBucket, b: TokenBucket): boolean =>
  a.bytesPerSecond === b.bytesPerSecond &&
  a.bufferTicks === b.bufferTicks &&
  a.limitBytes === b.limitBytes;

/**
 * The scheduler's ticks in a microsecond (/proc/net/psched: nanoseconds a microsecond, nanoseconds
 * a tick, both in hexadecimal).
 */
export function readTicksPerUs(): number {
  const [us, tick] = (readTextIfAny('/proc/net/psched') ?? '').split(' ', 2);
  const ratio = Number.parseInt(us ?? '', 16) / Number.parseInt(tick ?? '', 16);
  return Number.isFinite(ratio) && ratio > 0 ? ratio : TICKS_PER_US;
}
