/**
 * npm run faults: lets every plugin meet every fault that test/faults knows, in namespaces of its own, and writes what was seen to
 * docs/reliability.md. --only TEXT: the plugins whose title begins so; --stride N: every Nth fault. With either nothing is written.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ip } from './world/command.ts';
import { ScriptFailure } from './world/failure.ts';
import { replaceFigures } from './world/figures.ts';
import { readNumber, readOptions } from './world/options.ts';
import { BIN_FOLDER, ROOT } from './world/paths.ts';
import { runScript } from './world/script.ts';

const DOCUMENT = join(ROOT, 'docs', 'reliability.md');

/** The world's own /run holds the nodes' folders, which go with it. */
const TEMPORARY = '/run/faults';

/** Pods of the crowd. */
const PODS = 200;

/** Plugins that meet their faults at the same time. */
const AT_ONCE = 2;

interface Options {
  readonly only: string;
  readonly stride: number;
}

/** @throws ScriptFailure that says what is wrong with them */
function parseOptions(args: readonly string[]): Options {
  const values = readOptions(args, { only: { type: 'string' }, stride: { type: 'string' } });
  const stride = readNumber(values.stride, '--stride') ?? 1;
  if (stride === 0) throw new ScriptFailure('--stride wants a number from 1 on, not "0"');
  return { only: values.only ?? '', stride };
}

/** The whole of it. @returns the exit status */
async function tryAll(options: Options): Promise<number> {
  // The tests' node looks at its environment when it is loaded.
  process.env['CNI_TEST_BIN'] = BIN_FOLDER;
  process.env['TMPDIR'] = TEMPORARY;
  mkdirSync(TEMPORARY);
  ip('link', 'set', 'lo', 'up');
  const { SUBJECTS } = await import('#test/faults/subjects.ts');
  if (!SUBJECTS.some(({ title }) => title.startsWith(options.only))) {
    const titles = SUBJECTS.map(({ title }) => title).join('", "');
    throw new ScriptFailure(
      `No plugin's title begins with "${options.only}": there are "${titles}"`,
    );
  }
  const { bundlePlugins } = await import('#test/faults/bundle.ts');
  const { report } = await import('#test/faults/report.ts');
  const programs = join(TEMPORARY, 'programs');
  await bundlePlugins(programs);
  const { text, findings } = await report({ ...options, programs, pods: PODS, atOnce: AT_ONCE });
  for (const finding of findings) console.log(finding);
  console.log(`\n${text}`);
  if (options.only === '' && options.stride === 1) replaceFigures(DOCUMENT, text);
  return findings.length === 0 ? 0 : 1;
}

await runScript({
  name: 'faults',
  tools: [
    '/bin/busybox',
    '/usr/lib/cni/bridge',
    'ip',
    'iptables',
    'mount',
    'nft',
    'nsenter',
    'setpriv',
    'strip',
    'tc',
    'unshare',
  ],
  parse: parseOptions,
  inside: tryAll,
});
