/** One boot of a kernel: tests run in it from start to end, and what came of them. */
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from './debian-kernel.ts';
import { type GuestEnd, runGuest } from './guest-machine.ts';
import { guestScript } from './guest-script.ts';
import { packInitramfs } from './initramfs.ts';
import { TapReader, type TestEnd } from './tap.ts';

/** Consoles and results of the last boots, to look into. */
const LOGS = join(import.meta.dirname, '..', '..', 'dist', 'kernels', 'logs');

/** A kernel, how it is booted, and for what. */
export interface Boot {
  readonly kernel: Kernel;
  readonly hasIpv6: boolean;
  /** Files of tests, relative to the project's root. */
  readonly tests: readonly string[];
  /** All of it may take this long. */
  readonly limitMs: number;
}

/** What came of it. */
export interface BootResult {
  readonly boot: Boot;
  readonly minutes: number;
  readonly ends: readonly TestEnd[];
  /** Why not all tests got to their end. */
  readonly fault: string | undefined;
}

/** A boot's name: "6.1 without IPv6". */
export const bootName = ({ kernel, hasIpv6 }: Pick<Boot, 'kernel' | 'hasIpv6'>): string =>
  `${kernel.version}${hasIpv6 ? '' : ' without IPv6'}`;

/** Boots the kernel, and prints its tests as they end. What it needs meanwhile lies in `folder`. */
export async function testBoot(boot: Boot, folder: string): Promise<BootResult> {
  console.log(`\nLinux ${boot.kernel.release}${boot.hasIpv6 ? '' : ', booted without IPv6'}:`);
  mkdirSync(LOGS, { recursive: true });
  const work = mkdtempSync(join(folder, 'guest-'));
  const log = join(LOGS, bootName(boot).replaceAll(' ', '-'));
  const tap = createWriteStream(`${log}.tap`);
  const reader = new TapReader();
  const start = performance.now();
  let fault: string | undefined;
  try {
    const { kernel, hasIpv6, tests, limitMs } = boot;
    const initramfs = await packInitramfs(kernel, guestScript(kernel, tests), work);
    const files = { initramfs, folder: work, console: `${log}.console` };
    const end = await runGuest({ kernel, hasIpv6, limitMs, ...files }, (line) => {
      tap.write(`${line}\n`);
      const words = reader.read(line);
      if (words !== undefined) console.log(words);
    });
    fault = faultOf(end, reader.ends);
  } catch (error) {
    // One boot that can't be made is a failure, and the others go on.
    fault = `The guest could not be made: ${error instanceof Error ? error.message : error}`;
  }
  if (fault !== undefined) console.log(`  ✘ ${fault}`);
  tap.end();
  rmSync(work, { recursive: true });
  return { boot, minutes: (performance.now() - start) / 60_000, ends: reader.ends, fault };
}

/** AVA ends with a status other than 0 if a test failed; else something else went wrong. */
function faultOf(end: GuestEnd, ends: readonly TestEnd[]): string | undefined {
  if ('fault' in end) return `The guest: ${end.fault}`;
  const isExplained = ends.some(({ hasPassed }) => !hasPassed);
  if (end.status === 0 && ends.length > 0) return undefined;
  return isExplained
    ? undefined
    : `AVA ended with status ${end.status}; its words are on the console`;
}

/** How many tests passed, failed, and were skipped; a boot that did not get to its end is a failure of its own. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function countEnds({ ends, fault }: BootResult): Counts {
  const passed = ends.filter(({ hasPassed }) => hasPassed);
  const skipped = passed.filter(({ skipReason }) => skipReason !== undefined).length;
  const failed = ends.length - passed.length + (fault === undefined ? 0 : 1);
  return { passed: passed.length - skipped, failed, skipped };
}
