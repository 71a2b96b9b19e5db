/**
 * npm run fuzz: the properties of test/fuzz, one after the other until the time is over, from a seed that it prints. Whole calls
 * are made in namespaces that go with the program. Needs root on Linux. Ends with 1 if anything was found.
 *
 *   npm run fuzz -- [--seconds N] [--seed N] [--runs N] [--only TEXT] [--short]
 *
 * --runs: so many runs of each property, instead of a time. --only: the properties whose names have this text in them.
 * --short: as the tests do it, some runs of those that need a node.
 */
import type { FuzzOptions } from './fuzz/options.ts';
import { watchWorker } from './fuzz/watch.ts';
import { ensureBuilt } from './world/built.ts';
import { readNumber, readOptions } from './world/options.ts';
import { BIN_FOLDER } from './world/paths.ts';
import { runScript } from './world/script.ts';

const SECONDS = 300;

function parseOptions(args: readonly string[]): FuzzOptions {
  const values = readOptions(args, {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    runs: { type: 'string' },
    only: { type: 'string' },
    short: { type: 'boolean' },
  });
  return {
    seconds: readNumber(values.seconds, '--seconds') ?? SECONDS,
    seed: readNumber(values.seed, '--seed') ?? Date.now() % 2 ** 31,
    runs: readNumber(values.runs, '--runs'),
    only: values.only ?? '',
    short: values.short === true,
  };
}

await runScript({
  name: 'fuzz',
  tools: ['ip', 'iptables', 'mount', 'nft', 'setpriv', 'tc', 'unshare'],
  parse: parseOptions,
  async outside({ short }, enter) {
    if (!short) {
      await ensureBuilt();
      process.env['CNI_TEST_BIN'] = BIN_FOLDER;
    }
    return enter();
  },
  inside: watchWorker,
});
