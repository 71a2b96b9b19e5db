/** One boot of a kernel: tests run in it from start to end, and what came of them. */
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from './debian-kernel.ts';
import { runGuest } from './guest-machine.ts';
import { guestScript } from './guest-script.ts';
import { packInitramfs } from './initramfs.ts';
import { TapReader, type TestEnd } from './tap.ts';
import { bundleTests } from './test-bundle.ts';

/** Consoles and results of the last boots, to look into. */
const LOGS = join(import.meta.dirname, '..', '..', 'dist', 'kernels', 'logs');

/** A kernel, how it is booted, and for what. */
export interface Boot {
  readonly kernel: Kernel;
  readonly hasIpv6: boolean;
  /** Files of tests and folders of them, relative to the project's root. */
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
    const initramfs = await packInitramfs(
      kernel,
      guestScript(kernel, await bundleTests(tests)),
      work,
    );
    const files = { initramfs, folder: work, console: `${log}.console` };
    fault = await runGuest({ kernel, hasIpv6, limitMs, ...files }, (line) => {
      tap.write(`${line}\n`);
      const words = reader.read(line);
      if (words !== undefined) console.log(words);
    });
    if (fault === undefined && reader.ends.length === 0) fault = 'it ran no test';
  } catch (error) {
    // One boot that can't be made is a failure, and the others go on.
    fault = `it could not be made: ${error instanceof Error ? error.message : error}`;
  }
  if (fault !== undefined) console.log(`  ✘ The guest: ${fault}`);
  tap.end();
  rmSync(work, { recursive: true });
  return { boot, minutes: (performance.now() - start) / 60_000, ends: reader.ends, fault };
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
