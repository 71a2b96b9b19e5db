/** Where the suite wants to be, judged by the rows of one run. */
import type { Row } from './rows.ts';
import type { Summary } from './sample.ts';

/** A mark: what is wanted of a figure, and what it was. */
export interface Mark {
  readonly title: string;
  readonly wanted: string;
  readonly was: string;
  readonly isMet: boolean;
}

const most = (title: string, was: number, limit: number, unit = ''): Mark[] =>
  mark(title, { wanted: `at most ${limit.toFixed(2)}${unit}`, was, unit, isMet: was <= limit });

const least = (title: string, was: number, limit: number): Mark[] =>
  mark(title, { wanted: `at least ${limit.toFixed(2)}`, was, unit: '', isMet: was >= limit });

/** None if what it is about was not measured. */
const mark = (
  title: string,
  { was, unit, ...rest }: { wanted: string; was: number; unit: string; isMet: boolean },
): Mark[] => (Number.isFinite(was) ? [{ title, was: `${was.toFixed(2)}${unit}`, ...rest }] : []);

/** Judges the marks whose rows are there; those of a crowd only if it was of a hundred. */
export function judge(
  rows: readonly Row[],
  { crowd, diskRatio = Number.NaN }: { crowd: number; diskRatio?: number | undefined },
): Mark[] {
  const judged = crowd === 100 ? rows : rows.filter(({ id }) => !id.startsWith('crowd-'));
  const byId = new Map(judged.map((row) => [row.id, row]));
  const ours = (id: string): number => median(byId.get(id)?.ours);
  const peer = (id: string): number => median(byId.get(id)?.peer);
  const ratio = (id: string): number => ours(id) / peer(id);
  // Neither does more than to get to its handler; flannel's DEL would go on with those of bridge and host-local.
  const start = Math.max(ours('version'), ours('start-loopback'));
  // What was not measured is no mark.
  return [
    ...most(
      'start: VERSION of flannel, or loopback DEL that finds nothing / empty executable',
      start / ours('empty'),
      1.15,
    ),
    ...most('flannel ADD plain', ours('plain-add'), ours('plain-empty') + 10, ' ms'),
    ...most(
      'flannel DEL plain',
      ours('plain-del'),
      ours('plain-empty') + ours('plain-pair') + 6,
      ' ms',
    ),
    ...most('flannel ADD with ipMasq / peer', ratio('masq-add'), 1.3),
    ...most('flannel DEL with ipMasq / peer', ratio('masq-del'), 0.6),
    ...most('portmap ADD / peer', ratio('portmap-add'), 0.3),
    ...most('portmap DEL / peer', ratio('portmap-del'), 0.3),
    ...most('whole conflist, ADD + DEL / peer', ratio('conflist'), 0.6),
    ...most('100 pods, wall / peer', ratio('crowd-0'), 0.5),
    ...most('100 pods, 1,000 there, wall / peer', ratio('crowd-1000'), 0.2),
    ...most('100 pods, 1,000 there / own empty node', ours('crowd-1000') / ours('crowd-0'), 1.1),
    ...most('host-local ADD, 60,000 held / peer', ratio('leases-add-60000'), 0.06),
    ...most(
      'host-local ADD, 60,000 held / own 10',
      ours('leases-add-60000') / ours('leases-add-10'),
      1.1,
    ),
    ...least(
      'new masqueraded connections, 1,000 there / peer',
      ratio('masqueradedConnections-1000'),
      1.5,
    ),
    ...least('the same, UDP flows', ratio('masqueradedFlows-1000'), 1.5),
    ...most(
      'peak memory of an ADD',
      Math.max(ours('memory-masq'), ours('memory-portmap')),
      70,
      ' MB',
    ),
    ...most('suite on disk / empty executable', diskRatio, 1.1),
  ];
}

const median = (summary: Summary | undefined): number => summary?.median ?? Number.NaN;
