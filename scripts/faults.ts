/**
 * npm run faults: lets every plugin meet every fault that test/faults knows, in namespaces of its own, and writes what was seen to
 * docs/reliability.md. --only TEXT: the plugins whose title begins so; --stride N: every Nth fault. With either nothing is written.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DemoFailure } from './demo/failure.ts';
import { ip } from './demo/command.ts';
import { enterWorld, runInWorld } from './demo/world.ts';
import { replaceFigures } from './figures.ts';
import { readNumber, readOptions } from './options.ts';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENT = join(ROOT, 'docs', 'reliability.md');
const INSIDE = '--inside';

/** The world's own /run holds the nodes' folders, which go with it. */
const TEMPORARY = '/run/faults';

/** Pods of the crowd. */
const PODS = 200;

/** Plugins that meet their faults at the same time. */
const AT_ONCE = 2;

const TOOLS = {
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  unshare: 'util-linux',
  strip: 'binutils',
  '/bin/busybox': 'busybox-static',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};

interface Options {
  readonly only: string;
  readonly stride: number;
}

/** @throws DemoFailure that says what is wrong with them */
function parseOptions(args: readonly string[]): Options {
  const values = readOptions(args, { only: { type: 'string' }, stride: { type: 'string' } });
  const stride = readNumber(values.stride, '--stride') ?? 1;
  if (stride === 0) throw new DemoFailure('--stride wants a number from 1 on, not "0"');
  return { only: values.only ?? '', stride };
}

/** The whole of it. @returns the exit status */
async function tryAll(options: Options): Promise<number> {
  // The tests' node looks at its environment when it is loaded.
  process.env['CNI_TEST_BIN'] = join('dist', 'bin');
  process.env['TMPDIR'] = TEMPORARY;
  mkdirSync(TEMPORARY);
  ip('link', 'set', 'lo', 'up');
  const { SUBJECTS } = await import('#test/faults/subjects.ts');
  if (!SUBJECTS.some(({ title }) => title.startsWith(options.only))) {
    const titles = SUBJECTS.map(({ title }) => title).join('", "');
    throw new DemoFailure(`no plugin's title begins with "${options.only}": there are "${titles}"`);
  }
  const { bundlePlugins } = await import('#test/faults/bundle.ts');
  const { report } = await import('#test/faults/report.ts');
  const programs = join(TEMPORARY, 'programs');
  await bundlePlugins(programs);
  const { text, findings } = await report({ ...options, programs, pods: PODS, atOnce: AT_ONCE });
  for (const finding of findings) console.log(finding);
  console.log(`\n${text}`);
  if (options.only === '' && options.stride === 1) {
    replaceFigures(DOCUMENT, text);
  }
  return findings.length === 0 ? 0 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === INSIDE) {
    enterWorld(args.at(-1) ?? '');
    return tryAll(parseOptions(args.slice(1, -1)));
  }
  parseOptions(args);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new DemoFailure('the faults need network namespaces: run it as root on Linux');
  }
  await ensureTools(TOOLS);
  await ensureBuilt();
  return runInWorld([import.meta.filename, INSIDE, ...args]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DemoFailure || error instanceof NotPrepared)) throw error;
  console.error(`faults: ${error.message}`);
  process.exitCode = 1;
}
