/**
 * The part of `npm test` that needs another kernel than the machine's: VLANs on bridges, and a node without IPv6. `npm run
 * test:kernels` runs all root tests on all kernels.
 */
import { type Boot, bootName, type Counts, countEnds, testBoot } from './boot.ts';
import { ensureKernel, type KernelVersion, readKernel } from './debian-kernel.ts';
import { ScriptFailure } from '#scripts/world/failure.ts';
import { ensureGuestTools } from './tools.ts';

const VERSION: KernelVersion = '6.1';

const SAMPLE: readonly Pick<Boot, 'hasIpv6' | 'tests'>[] = [
  { hasIpv6: true, tests: ['test/root/bridge-vlan.test.ts'] },
  { hasIpv6: false, tests: ['test/root/no-ipv6.test.ts'] },
];

/** All boots together may take this long. */
const LIMIT_MS = 360_000;

/** Tells testSample(), which runs in another process, why no guest can be booted. */
const REASON = 'CNI_TEST_NO_GUEST';

/** Gets what the boots need, from apt, or says why that can't be got. */
export async function prepareSample(): Promise<void> {
  try {
    await ensureGuestTools();
    await ensureKernel(VERSION);
  } catch (error) {
    if (!(error instanceof ScriptFailure)) throw error;
    process.env[REASON] = error.message;
  }
}

/**
 * Boots the kernel and runs the tests, unless prepareSample() found that it can't be done. `folder` is for files that are needed
 * meanwhile. @returns how many tests passed and failed; these ones must not be skipped
 */
export async function testSample(folder: string): Promise<Pick<Counts, 'passed' | 'failed'>> {
  const counts = { passed: 0, failed: 0 };
  const reason = process.env[REASON];
  if (reason !== undefined) {
    console.log(`\nLinux ${VERSION} under qemu: skipped: ${reason}`);
    return counts;
  }
  const end = Date.now() + LIMIT_MS;
  const kernel = readKernel(VERSION);
  for (const boot of SAMPLE) {
    const result = await testBoot({ kernel, ...boot, limitMs: end - Date.now() }, folder);
    const { passed, failed, skipped } = countEnds(result);
    counts.passed += passed;
    counts.failed += failed + skipped;
    const took = `in ${result.minutes.toFixed(1)} minutes`;
    console.log(
      `  Linux ${bootName(result.boot)}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${took}`,
    );
  }
  return counts;
}
