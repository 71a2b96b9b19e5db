/** Which boot of the machine this is, and when it began. */
import { lstatSync } from 'node:fs';
import { fileSystemMagic, join, listFolder, readTextIfAny, statIfAny } from './file.ts';

/**
 * A name of this boot that no other boot has; empty where /proc does not tell it. @throws SysError
 */
export const bootId = (): string =>
  (known ??= (readTextIfAny('/proc/sys/kernel/random/boot_id') ?? '').trim());

let known: string | undefined;

/** linux/magic.h */
const TMPFS_MAGIC = 0x01021994;

const RUN = '/run';

/** The kernel's answer is in whole seconds, and changes whenever the clock is adjusted. */
const MARGIN_NS = 10_000_000_000n;

/**
 * A moment, in nanoseconds since 1970, before which nothing can have been written in this boot;
 * undefined where nothing tells. The kernel's answer moves with the clock when that is set.
 * Machines that boot with a wrong clock have files of the time before that in /run, which is made
 * anew at each boot. @throws SysError
 */
export function bootTimeNs(): bigint | undefined {
  const [, seconds] = /^btime (\d+)$/m.exec(readTextIfAny('/proc/stat') ?? '') ?? [];
  if (seconds === undefined) return undefined;
  const began = BigInt(seconds) * 1_000_000_000n - MARGIN_NS;
  if (statIfAny(RUN) === undefined || fileSystemMagic(RUN) !== TMPFS_MAGIC) return began;
  return listFolder(RUN)
    .map((name) => ownTimeNs(join(RUN, name)) ?? began)
    .reduce((least, time) => (time < least ? time : least), began);
}

/** When the entry itself was written, not what a link leads to. */
function ownTimeNs(path: string): bigint | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.mtimeNs;
}
