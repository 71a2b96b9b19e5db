/**
 * npm run test:kernels: boots Debian's kernels under qemu and runs the root tests in them, with the packed executables.
 *
 *   npm run test:kernels -- [VERSION…] [--ipv6=on|off] [--only FILE]…
 *
 * Without VERSION: all kernels. --ipv6: boot with or without IPv6 only; default: first with it, then without for the tests that are about
 * that. --only: these files of tests alone. Boots that run all of their tests go into docs/compatibility.md.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Boot, bootName, type BootResult, countEnds, testBoot } from './kernels/boot.ts';
import { ensureKernel, readKernel } from './kernels/debian-kernel.ts';
import { type Options, parseOptions } from './kernels/options.ts';
import { reportBoot } from './kernels/report.ts';
import { ensureGuestTools } from './kernels/tools.ts';
import { ensureBuilt } from './world/built.ts';
import { ROOT } from './world/paths.ts';
import { runScript } from './world/script.ts';
import { TEST_TOOLS } from './world/tools.ts';

const DOCUMENT = join(ROOT, 'docs', 'compatibility.md');

/** The world's own /run holds what a boot needs, which goes with it. */
const TEMPORARY = '/run/guests';

/** Tests that need a kernel, by how it is booted. */
const TESTS = {
  on: ['test/root', 'test/e2e', 'test/cmd', 'test/lib/sys'],
  off: ['test/root/no-ipv6.test.ts'],
} as const;

/** A boot with all of its tests takes an hour on two cores; this is for machines that are busy. */
const LIMIT_MS = 6 * 3_600_000;

/** The boots that are asked for. */
function listBoots({ versions, ipv6, only }: Options): Boot[] {
  return versions.flatMap((version) =>
    ipv6.map((mode) => ({
      kernel: readKernel(version),
      hasIpv6: mode === 'on',
      tests: only.length > 0 ? only : TESTS[mode],
      limitMs: LIMIT_MS,
    })),
  );
}

/** @returns the exit status */
async function testAll(options: Options): Promise<number> {
  mkdirSync(TEMPORARY);
  const results: BootResult[] = [];
  for (const boot of listBoots(options)) {
    const result = await testBoot(boot, TEMPORARY);
    results.push(result);
    if (options.only.length === 0) reportBoot(DOCUMENT, result);
  }
  console.log('');
  const counts = results.map((result) => ({ name: bootName(result.boot), ...countEnds(result) }));
  for (const { name, passed, failed, skipped } of counts)
    console.log(`Linux ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
  const sum = (key: 'passed' | 'failed') => counts.reduce((all, one) => all + one[key], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  return sum('failed') === 0 ? 0 : 1;
}

await runScript({
  name: 'test-kernels',
  tools: TEST_TOOLS,
  parse: parseOptions,
  async outside({ versions }, enter) {
    await ensureGuestTools();
    for (const version of versions) await ensureKernel(version);
    await ensureBuilt();
    return enter();
  },
  inside: testAll,
});
