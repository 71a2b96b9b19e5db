/** The tables of docs/compatibility.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { BootResult } from '#scripts/kernels/boot.ts';
import type { KernelVersion } from '#scripts/kernels/debian-kernel.ts';
import { reportBoot } from '#scripts/kernels/report.ts';
import type { TestEnd } from '#scripts/kernels/tap.ts';
import { temporaryFolder } from '#test/folder.ts';

const passed: TestEnd = { title: 'a | b', hasPassed: true, skipReason: undefined, words: [] };
const skipped: TestEnd = { ...passed, title: 'c', skipReason: 'no | such thing' };
const failed: TestEnd = { ...passed, title: 'd', hasPassed: false, words: ['1 is', 'not 2'] };

function resultOf(version: KernelVersion, hasIpv6: boolean, ends: readonly TestEnd[]): BootResult {
  const kernel = { version, debian: 'debian', release: `${version}.0`, image: '', root: '' };
  const boot = { kernel, hasIpv6, tests: ['test/root'], limitMs: 0 };
  return { boot, minutes: 3.4, ends, fault: undefined };
}

test('reportBoot() replaces the rows of its own boot and keeps those of others, in order', (t) => {
  const document = join(temporaryFolder(t), 'document.md');
  writeFileSync(document, 'before\n<!-- begin -->\n<!-- end -->\nafter\n');
  reportBoot(document, resultOf('6.12', true, [failed]));
  reportBoot(document, resultOf('6.1', false, [passed]));
  reportBoot(document, resultOf('6.1', true, [passed, skipped, failed]));
  reportBoot(document, resultOf('5.10', true, [passed]));
  reportBoot(document, resultOf('6.12', true, [passed, skipped]));
  const text = readFileSync(document, 'utf8');
  t.regex(text, /^before\n[^]*\nafter\n$/);
  const rows = text
    .split('\n')
    .filter((line) => /^\| \d/.test(line))
    .map((line) => line.replace(/\d{4}-\d\d-\d\d/, 'DATE'));
  t.deepEqual(rows, [
    '| 5.10 | on | debian, 5.10.0 | DATE | test/root | 1 | 0 | 0 | 3 |',
    '| 6.1 | on | debian, 6.1.0 | DATE | test/root | 1 | 1 | 1 | 3 |',
    '| 6.1 | off | debian, 6.1.0 | DATE | test/root | 1 | 0 | 0 | 3 |',
    '| 6.12 | on | debian, 6.12.0 | DATE | test/root | 1 | 0 | 1 | 3 |',
    '| 6.1 | on | d | 1 is not 2 |',
    '| 6.1 | on | c | no \\| such thing |',
    '| 6.12 | on | c | no \\| such thing |',
  ]);
});
