/**
 * npm run bench: this suite beside another (Debian's containernetworking-plugins, or --peer DIR), pod by pod in turn, in namespaces of its
 * own; a run without options but --json goes to docs/benchmarks.md. --ours DIR: another build of ours; --only NAME: one measurement;
 * --pods N, --crowd N: how many calls of a row, and pods of a crowd; --json FILE: all figures. Times are of whole processes; compare
 * the ratios, not machines.
 */
import { copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeEmptyExecutable } from './bench/bare.ts';
import { judge, type Mark } from './bench/marks.ts';
import { MEASUREMENTS } from './bench/measurements.ts';
import { describeMachine, diskBytes, formatMarks, formatRow, ROW_HEADER } from './bench/report.ts';
import type { Row } from './bench/rows.ts';
import { ensureBuilt } from './world/built.ts';
import { ip } from './world/command.ts';
import { ScriptFailure } from './world/failure.ts';
import { replaceFigures } from './world/figures.ts';
import { readNumber, readOptions } from './world/options.ts';
import { BUILT_BIN, ROOT } from './world/paths.ts';
import { runScript } from './world/script.ts';
import { ensureTools } from './world/tools.ts';

const EMPTY = join(ROOT, 'dist', 'bench');
const DOCUMENT = join(ROOT, 'docs', 'benchmarks.md');
const PEER = '/usr/lib/cni';
const PODS = 25;
const CROWD = 100;

/** Where the figures go in the world, whose /run is not the machine's. */
const FIGURES = join(EMPTY, 'figures.json');

/** What both suites must have. */
const PLUGINS = ['bridge', 'host-local', 'loopback', 'portmap'];

interface Options {
  readonly ours: string;
  readonly peer: string;
  readonly only: string | undefined;
  readonly json: string | undefined;
  readonly pods: number;
  readonly crowd: number;
}

/** @throws ScriptFailure that says what is wrong with them */
function parseOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const known = { ours: text, peer: text, only: text, json: text, pods: text, crowd: text };
  const values = readOptions(args, known);
  const names = Object.keys(MEASUREMENTS);
  if (values.only !== undefined && !names.includes(values.only)) {
    throw new ScriptFailure(`--only knows ${names.join(', ')}, not "${values.only}"`);
  }
  return {
    ours: resolve(values.ours ?? BUILT_BIN),
    peer: resolve(values.peer ?? PEER),
    only: values.only,
    json: values.json === undefined ? undefined : resolve(values.json),
    pods: readNumber(values.pods, '--pods', 1) ?? PODS,
    crowd: readNumber(values.crowd, '--crowd', 1) ?? CROWD,
  };
}

/** Everything, in the world. @returns the exit status */
async function measureAll({ ours, peer, only, pods, crowd }: Options): Promise<number> {
  ip('link', 'set', 'lo', 'up');
  mkdirSync('/run/bench', { recursive: true });
  const empty = join(EMPTY, 'empty');
  const plan = { folders: { ours, peer }, empty, pods, crowd };
  console.log('Median (between these lies the middle half); the suites take turns, pod by pod');
  console.log(ROW_HEADER);
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(MEASUREMENTS)) {
    if (only !== undefined && only !== name) continue;
    for await (const row of measure(plan)) {
      rows.push(row);
      console.log(formatRow(row));
    }
  }
  const disk = { suite: diskBytes(ours), empty: statSync(empty).size, peer: diskBytes(peer) };
  const diskRatio = only === undefined ? disk.suite / disk.empty : undefined;
  const marks = judge(rows, { crowd, diskRatio });
  const machine = [...describeMachine(peer), describeDisk(disk)];
  console.log(['', ...machine, '', formatMarks(marks)].join('\n'));
  writeFileSync(FIGURES, JSON.stringify({ machine, disk, rows, marks }, null, 2));
  const isUsual = ours === BUILT_BIN && peer === PEER && pods === PODS && crowd === CROWD;
  if (only === undefined && isUsual) writeDocument(machine, rows, marks);
  return 0;
}

/** @throws ScriptFailure that names what is missing */
function requirePlugins(option: string, folder: string, names: readonly string[]): void {
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    throw new ScriptFailure(`${option}: "${folder}" has no ${missing.join(', ')}`);
  }
}

const describeDisk = ({
  suite,
  empty,
  peer,
}: Readonly<Record<'suite' | 'empty' | 'peer', number>>) =>
  `installed: ours ${megabytes(suite)} MB (one file under all names; empty executable ${megabytes(empty)} MB), peer ${megabytes(peer)} MB`;

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Puts a run's figures between the document's own words, which stay. */
function writeDocument(
  machine: readonly string[],
  rows: readonly Row[],
  marks: readonly Mark[],
): void {
  const tables = [
    ...machine.map((line) => `- ${line}`),
    '',
    formatMarks(marks),
    '',
    ROW_HEADER,
    ...rows.map(formatRow),
  ];
  replaceFigures(DOCUMENT, `${tables.join('\n')}\n`);
}

await runScript({
  name: 'bench',
  tools: [
    '/usr/bin/time',
    'ip',
    'iptables',
    'iptables-save',
    'mount',
    'setpriv',
    'strip',
    'unshare',
  ],
  parse: parseOptions,
  async outside({ ours, peer, json }, enter) {
    if (peer === PEER) await ensureTools(['/usr/lib/cni/bridge']);
    await ensureBuilt();
    requirePlugins('--ours', ours, [...PLUGINS, 'flannel']);
    requirePlugins('--peer', peer, PLUGINS);
    // What can't be written is to be known now, not when all is measured.
    if (json !== undefined) writeFileSync(json, '');
    await makeEmptyExecutable(EMPTY);
    const status = await enter();
    if (status === 0 && json !== undefined) copyFileSync(FIGURES, json);
    return status;
  },
  inside: measureAll,
});
