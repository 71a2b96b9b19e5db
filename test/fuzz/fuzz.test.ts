/** A moment of fuzzing, always the same examples: `npm run fuzz` goes on for as long as one likes, and from another seed. */
import test from 'ava';
import { NETLINK } from './netlink.ts';
import { PARSERS } from './parsers.ts';
import { describeFailure } from './property.ts';

const SEED = 20_261_121;

for (const { name, runs, check } of [...PARSERS, ...NETLINK]) {
  test(`hostile input: ${name}`, (t) => {
    const details = check({ seed: SEED, numRuns: runs });
    t.false(details.failed, details.failed ? describeFailure(name, details) : '');
  });
}
