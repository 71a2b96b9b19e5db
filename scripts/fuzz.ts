/**
 * npm run fuzz: the properties of test/fuzz, one after the other until the time is over, from a seed that it prints. Whole calls
 * are made in namespaces that go with the program. Needs root on Linux. Ends with 1 if anything was found.
 *
 *   npm run fuzz -- [--seconds N] [--seed N] [--runs N] [--only TEXT] [--short]
 *
 * --runs: so many runs of each property, instead of a time. --only: the properties whose names have this text in them.
 * --short: as the tests do it, some runs of those that need a node.
 */
import { join } from 'node:path';
import { DemoFailure } from './demo/failure.ts';
import { enterWorld, runInWorld } from './demo/world.ts';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';
import { readNumber, readOptions } from './options.ts';
import { watch } from './fuzz/watch.ts';

const INSIDE = '--inside';
const WORKER = '--worker';

const TOOLS = {
  ip: 'iproute2',
  tc: 'iproute2',
  mount: 'mount',
  nft: 'nftables',
  iptables: 'iptables',
  unshare: 'util-linux',
};

const SECONDS = 300;

function options(args: readonly string[]) {
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

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === WORKER) {
    const { fuzz } = await import('./fuzz/worker.ts');
    return fuzz(options(args.slice(1))) ? 0 : 1;
  }
  if (args[0] === INSIDE) {
    enterWorld(args.at(-1) ?? '');
    return watch([import.meta.filename, WORKER, ...args.slice(1, -1)]);
  }
  const { seed, short } = options(args);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new NotPrepared('Fuzzing makes network namespaces: run it as root on Linux');
  }
  await ensureTools(TOOLS);
  if (!short) {
    await ensureBuilt();
    process.env['CNI_TEST_BIN'] = join('dist', 'bin');
  }
  return runInWorld([import.meta.filename, INSIDE, ...args, '--seed', String(seed)]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DemoFailure || error instanceof NotPrepared)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
