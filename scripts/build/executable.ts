/** How an executable is made of a file of JavaScript: the pinned Node, stripped of debug symbols, with the file in it. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';
import { execa, ExecaError } from 'execa';

/**
 * What V8 is told. A call is over in milliseconds, and several are made at once: what prepares for a long run, and threads beside the
 * one that works, only cost. docs/benchmarks.md has what each was found to give.
 *
 * --no-rehash-snapshot: V8 begins by looking for three primes at random to key its hash function with, and sorts its tables anew by
 * them: a sixth of the start. Without, the key is the same in every process. What a call hashes comes from the node's administrator
 * and from the runtime; whoever gets a flood of keys into a pod's annotations slows down that pod's call.
 * --min-semi-space-size: megabytes that a call never fills; with the default it collects garbage two or three times, and
 * --single-threaded-gc: by itself.
 * --no-sparkplug, --no-maglev: no compiling of what a call runs ten times.
 * --invocation-count-for-turbofan: the optimizing compiler takes eight megabytes; it comes when a function ran this often, or a loop.
 *
 * Bytecode is taken with just the flags that it was made with.
 */
export const V8_FLAGS = [
  '--no-rehash-snapshot',
  '--min-semi-space-size=4',
  '--single-threaded-gc',
  '--no-sparkplug',
  '--no-maglev',
  '--invocation-count-for-turbofan=20000',
];

/** Files that go into an executable, by the names that it finds them by. */
export type Assets = Readonly<Record<string, string>>;

/** Makes an executable whose program is the script `entry` (CommonJS). Needs no network; strip (binutils) makes it smaller if it is there. */
export async function makeExecutable(entry: string, assets: Assets, output: string): Promise<void> {
  const work = mkdtempSync(join(dirname(output), 'node-'));
  const node = join(work, 'node');
  copyFileSync(process.execPath, node);
  await strip(node);
  const seaConfig = {
    useSnapshot: false,
    // Node would make it without the flags, and warn at each start that V8 does not take it.
    useCodeCache: false,
    disableExperimentalSEAWarning: true,
    execArgv: [...V8_FLAGS, '--v8-pool-size=1', '--disable-warning=ExperimentalWarning'],
    // The environment's NODE_OPTIONS have no say.
    execArgvExtension: 'none',
    assets,
  };
  await sea.default(entry, {
    targets: [{ platform: 'linux', arch: process.arch, nodeRange: 'node26', output }],
    nodePath: node,
    seaConfig,
  });
  chmodSync(output, 0o755);
  rmSync(work, { recursive: true });
}

async function strip(file: string): Promise<void> {
  try {
    await execa('strip', ['--strip-unneeded', file]);
  } catch (error) {
    if (!(error instanceof ExecaError) || error.code !== 'ENOENT') throw error;
    console.log('No strip (package binutils) here: the executable gets 30 MB larger');
  }
}
