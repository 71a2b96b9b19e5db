/** The process that does the work, given the options as JSON: every property in turn, a little of each at a time. */
import { writeFileSync } from 'node:fs';
import { CALLS } from '#test/fuzz/calls.ts';
import { NETLINK } from '#test/fuzz/netlink.ts';
import { PARSERS } from '#test/fuzz/parsers.ts';
import { describeFailure, type FuzzProperty } from '#test/fuzz/property.ts';
import { PROCESSES } from '#test/fuzz/processes.ts';
import { STATE } from '#test/fuzz/state.ts';
import { CURRENT, furnish } from '#test/fuzz/world.ts';
import { ScriptFailure } from '#scripts/world/failure.ts';
import { runMain } from '#scripts/world/script.ts';
import type { FuzzOptions } from './options.ts';

/** How long one property is at it before the next has its turn; less if not all would have one. */
const TURN_MS = 5_000;

/** Runs the properties, and tells of each what it did and what it found. @returns whether nothing was found @throws ScriptFailure */
function fuzz({ seconds, seed, runs, only, short }: FuzzOptions): boolean {
  furnish();
  const onNode = [...CALLS, ...STATE, ...PROCESSES];
  const properties = (short ? onNode : [...onNode, ...NETLINK, ...PARSERS]).filter(({ name }) =>
    name.includes(only),
  );
  if (properties.length === 0) throw new ScriptFailure(`No property's name has "${only}" in it`);
  console.log(`Seed ${seed}, ${properties.length} properties`);
  const turnMs = Math.min(TURN_MS, (seconds * 1_000) / properties.length);
  const isTimed = runs === undefined && !short;
  const end = isTimed ? performance.now() + seconds * 1_000 : 0;
  const failed = new Set<string>();
  const begin = performance.now();
  let total = 0;
  for (let round = 0; round === 0 || performance.now() < end; round += 1) {
    for (const property of properties) {
      const left = isTimed ? Math.min(turnMs, end - performance.now()) : undefined;
      if (left !== undefined && left <= 0) break;
      total += turn(property, {
        seed: seed + round,
        left,
        runs: short ? property.runs : runs,
        failed,
      });
    }
  }
  const took = (performance.now() - begin) / 1_000;
  console.log(
    `${total} runs in ${took.toFixed(1)} s, seed ${seed}: ${failed.size === 0 ? 'nothing found' : `found: ${[...failed].join('; ')}`}`,
  );
  return failed.size === 0;
}

interface Turn {
  readonly seed: number;
  /** Milliseconds; undefined: until the runs are done. */
  readonly left: number | undefined;
  readonly runs: number | undefined;
  readonly failed: Set<string>;
}

/** @returns how many runs were made */
function turn({ name, check }: FuzzProperty, { seed, left, runs, failed }: Turn): number {
  const start = performance.now();
  writeFileSync(CURRENT, name);
  const limit = left === undefined ? {} : { interruptAfterTimeLimit: left };
  const details = check({ seed, numRuns: runs ?? 1_000_000, ...limit });
  const took = (performance.now() - start) / 1_000;
  const rate = (details.numRuns / took).toFixed(0);
  console.log(`${name}: ${details.numRuns} runs in ${took.toFixed(1)} s (${rate} a second)`);
  if (details.failed && details.counterexample !== null) {
    failed.add(name);
    console.log(`Found: ${describeFailure(name, details)}`);
  }
  return details.numRuns;
}

const [options = ''] = process.argv.slice(2);
await runMain('fuzz', () => (fuzz(JSON.parse(options) as FuzzOptions) ? 0 : 1));
