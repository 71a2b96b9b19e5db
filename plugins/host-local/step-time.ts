/**
 * The times that mark both folders when they are in step. They are of the years 1973 to 1976, in
 * whole seconds: whatever changes a folder makes its time the present, however coarse the clock of
 * kernel or file system is. Each boot has its own share of them: what an earlier boot left may have
 * lost what was written last.
 */
import { bootId } from '#lib/sys/boot.ts';

const ERA_BEGIN_S = 100_000_000;
const SHARES = 10_000;
const SHARE_S = 10_000;

/** The first second of this boot's share. */
const shareBegin = (): number =>
  ERA_BEGIN_S + (Number.parseInt(bootId().slice(0, 8) || '0', 16) % SHARES) * SHARE_S;

/**
 * Whether a modification time, in nanoseconds, is one that a call of this boot gave.
 * @throws SysError
 */
export function isStepTime(ns: bigint): boolean {
  const begin = BigInt(shareBegin());
  const seconds = ns / 1_000_000_000n;
  return seconds >= begin && seconds < begin + BigInt(SHARE_S);
}

/** A time to give, in seconds; no two calls are likely to give the same. @throws SysError */
export const newStepTime = (): number => shareBegin() + Math.floor(Math.random() * SHARE_S);
