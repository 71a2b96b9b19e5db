/**
 * npm run bench: this suite beside another (Debian's containernetworking-plugins, or --peer DIR), pod by pod in turn, in namespaces of its
 * own; a run without options but --json goes to docs/benchmarks.md. --ours DIR: another build of ours; --only NAME: one measurement;
 * --pods N, --crowd N: how many calls of a row, and pods of a crowd; --json FILE: all figures. Times are of whole processes; compare
 * the ratios, not machines.
 */
import { copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DemoFailure } from './demo/failure.ts';
import { ip } from './demo/command.ts';
import { enterWorld, runInWorld } from './demo/world.ts';
import { makeEmptyExecutable } from './bench/bare.ts';
import { judge, type Mark } from './bench/marks.ts';
import { describeMachine, diskBytes, formatMarks, formatRow, ROW_HEADER } from './bench/report.ts';
import { MEASUREMENTS } from './bench/measurements.ts';
import type { Row } from './bench/rows.ts';
import { replaceFigures } from './figures.ts';
import { readNumber, readOptions } from './options.ts';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';

const INSIDE = '--inside';
const ROOT = join(import.meta.dirname, '..');
const OURS = join(ROOT, 'dist', 'bin');
const EMPTY = join(ROOT, 'dist', 'bench');
const DOCUMENT = join(ROOT, 'docs', 'benchmarks.md');
const PEER = '/usr/lib/cni';
const PODS = 25;
const CROWD = 100;

/** Where the figures go in the world, whose /run is not the machine's. */
const FIGURES = join(EMPTY, 'figures.json');

/** What both suites must have. */
const PLUGINS = ['bridge', 'host-local', 'loopback', 'portmap'];

const TOOLS = {
  ip: 'iproute2',
  unshare: 'util-linux',
  strip: 'binutils',
  iptables: 'iptables',
  'iptables-save': 'iptables',
  setpriv: 'util-linux',
  mount: 'mount',
  '/usr/bin/time': 'time',
};

interface Options {
  readonly ours: string;
  readonly peer: string;
  readonly only: string | undefined;
  readonly json: string | undefined;
  readonly pods: number;
  readonly crowd: number;
}

/** @throws DemoFailure that says what is wrong with them */
function parseOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const known = { ours: text, peer: text, only: text, json: text, pods: text, crowd: text };
  const values = readOptions(args, known);
  const names = Object.keys(MEASUREMENTS);
  if (values.only !== undefined && !names.includes(values.only)) {
    throw new DemoFailure(`--only knows ${names.join(', ')}, not "${values.only}"`);
  }
  return {
    ours: resolve(values.ours ?? OURS),
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
  const isUsual = ours === OURS && peer === PEER && pods === PODS && crowd === CROWD;
  if (only === undefined && isUsual) writeDocument(machine, rows, marks);
  return 0;
}

/** @throws DemoFailure that names what is missing */
function requirePlugins(option: string, folder: string, names: readonly string[]): void {
  const missing = names.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) {
    throw new DemoFailure(`${option}: "${folder}" has no ${missing.join(', ')}`);
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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DemoFailure || error instanceof NotPrepared)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === INSIDE) {
    enterWorld(args.at(-1) ?? '');
    return measureAll(parseOptions(args.slice(1, -1)));
  }
  const { ours, peer, json } = parseOptions(args);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new DemoFailure('the bench makes network namespaces: run it as root on Linux');
  }
  const debian = { [join(PEER, 'bridge')]: 'containernetworking-plugins' };
  await ensureTools({ ...TOOLS, ...(peer === PEER ? debian : {}) });
  await ensureBuilt();
  requirePlugins('--ours', ours, [...PLUGINS, 'flannel']);
  requirePlugins('--peer', peer, PLUGINS);
  // What can't be written is to be known now, not when all is measured.
  if (json !== undefined) writeFileSync(json, '');
  await makeEmptyExecutable(EMPTY);
  const status = await runInWorld([import.meta.filename, INSIDE, ...args]);
  if (status === 0 && json !== undefined) copyFileSync(FIGURES, json);
  return status;
}
