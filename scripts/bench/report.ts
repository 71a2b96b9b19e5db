/** The bench's tables, for the terminal and for docs/benchmarks.md. */
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { run } from '#scripts/world/command.ts';
import type { Mark } from './marks.ts';
import type { Row } from './rows.ts';
import type { Summary } from './sample.ts';

export const ROW_HEADER = '| | ours | peer | ours / peer | figures |\n|---|---|---|---|---|';

/** A row of the table: medians, between which the middle half lies, and the ratio of the medians. */
export function formatRow({ title, unit, ours, peer }: Row): string {
  const ratio = peer === undefined ? '' : (ours.median / peer.median).toFixed(2);
  return `| ${title} (${unit}) | ${format(ours)} | ${peer === undefined ? '' : format(peer)} | ${ratio} | ${ours.count} |`;
}

const MARK_HEADER = '| mark | wanted | was | |\n|---|---|---|---|';

/** The table of marks. */
export const formatMarks = (marks: readonly Mark[]): string =>
  [
    MARK_HEADER,
    ...marks.map(
      ({ title, wanted, was, isMet }) => `| ${title} | ${wanted} | ${was} | ${isMet ? '✓' : '✗'} |`,
    ),
  ].join('\n');

const format = ({ median, lower, upper }: Summary): string =>
  `${digits(median)} (${digits(lower)}–${digits(upper)})`;

const digits = (value: number): string => value.toFixed(value >= 100 ? 0 : 1);

/** What the figures are of: processors, memory, kernel, programs. */
export function describeMachine(peer: string): string[] {
  const [cpu] = cpus();
  const [load] = readFileSync('/proc/loadavg', 'utf8').split(' ');
  return [
    `${cpus().length} × ${cpu?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load} at the end`,
    `Linux ${release()}, Node ${process.version}, ${run('iptables', ['--version'])}`,
    `peer: ${peer} (${peerVersion(peer)})`,
  ];
}

/** The Debian package that the peer is of, or what its bridge says of itself when nobody asks for anything. */
function peerVersion(folder: string): string {
  const bridge = join(folder, 'bridge');
  const script = `dpkg-query --show $(dpkg-query --search "${bridge}" | cut -d: -f1) || env -i "${bridge}" </dev/null 2>&1`;
  const words = run('sh', ['-c', `{ ${script}; } 2>/dev/null`]);
  return (words.split('\n')[0] ?? '').replace('\t', ' ');
}

/** Bytes that the files of a folder take, each inode once. */
export function diskBytes(folder: string): number {
  const stats = readdirSync(folder).map((name) => lstatSync(join(folder, name)));
  return [...new Map(stats.map(({ ino, size }) => [ino, size])).values()].reduce(
    (sum, size) => sum + size,
    0,
  );
}
