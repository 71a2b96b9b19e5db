/** A short run of the bench: what it calls, and how it reads the answers, must not rot between the long ones. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import test from 'ava';
import { ownScript } from '#scripts/world/command.ts';
import { ROOT } from '#scripts/world/paths.ts';
import { scaled } from '#test/limits.ts';

const BENCH = join(ROOT, 'scripts', 'bench.ts');
const folder = mkdtempSync(join(tmpdir(), 'cni-test-bench-'));
test.after.always(() => rmSync(folder, { recursive: true }));

interface Report {
  readonly rows: readonly {
    readonly id: string;
    readonly ours: { readonly median: number };
    readonly peer?: { readonly median: number };
  }[];
  readonly marks: readonly { readonly title: string; readonly isMet: boolean }[];
}

/** @returns the figures of one measurement */
async function bench(only: string, ...options: string[]): Promise<Report> {
  const json = join(folder, `${only}.json`);
  const program = ownScript(BENCH, '--only', only, '--json', json, ...options);
  await execa(...program, { timeout: scaled(120_000) });
  return JSON.parse(readFileSync(json, 'utf8')) as Report;
}

test('bench measures the whole chain of both suites, and judges it', async (t) => {
  const { rows, marks } = await bench('conflist', '--pods', '1');
  t.deepEqual(
    rows.map(({ id }) => id),
    ['conflist-add', 'conflist-del', 'conflist'],
  );
  for (const { id, ours, peer } of rows) {
    t.true(ours.median > 1 && (peer?.median ?? 0) > 1, id);
  }
  t.deepEqual(
    marks.map(({ title }) => title),
    ['whole conflist, ADD + DEL / peer'],
  );
});

test('bench refuses a measurement that it does not know, a number that is none, and a folder without plugins', async (t) => {
  for (const [option, value] of [
    ['--only', 'nothing'],
    ['--pods', 'many'],
    ['--peer', '/nowhere'],
  ] as const) {
    const { exitCode, stderr } = await execa(...ownScript(BENCH, option, value), {
      reject: false,
    });
    t.is(exitCode, 1);
    t.true(stderr.includes(option) && stderr.includes(value), stderr);
  }
});
