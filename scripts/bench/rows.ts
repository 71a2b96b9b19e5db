/** Lines of the bench's table, and how both suites are measured: pod by pod in turn. */
import { basename } from 'node:path';
import { ip } from '#scripts/world/command.ts';
import { type Summary, summarize } from './sample.ts';
import { makeSide, type Side, type SideName } from './side.ts';

/** A line of the table. */
export interface Row {
  /** What marks know it by. */
  readonly id: string;
  readonly title: string;
  readonly unit: 'ms' | '/s' | 'MB';
  readonly ours: Summary;
  /** Undefined: only ours has it. */
  readonly peer: Summary | undefined;
}

/** What is measured, and how much of it. */
export interface Plan {
  readonly folders: Readonly<Record<SideName, string>>;
  readonly empty: string;
  /** Counted calls of a row. */
  readonly pods: number;
  readonly crowd: number;
}

/** Calls that warm the caches, before the counted ones. */
const WARM_UP = 3;

const SIDES: readonly SideName[] = ['ours', 'peer'];

/** Measures one thing and hands its rows over. */
export type Measurement = (plan: Plan) => AsyncIterable<Row>;

/** Figures of each suite. */
export type Times = Record<SideName, number[]>;

/** None yet. */
export const noTimes = (): Times => ({ ours: [], peer: [] });

/** Both suites, each on a fresh node. */
export const makeSides = ({ folders }: Plan, id: string): Side[] =>
  SIDES.map((name) => makeSide(name, folders[name], id));

/** Makes a line of what was measured. */
export const row = (id: string, title: string, unit: Row['unit'], values: Times): Row => ({
  id,
  title,
  unit,
  ours: summarize(values.ours),
  peer: values.peer.length === 0 ? undefined : summarize(values.peer),
});

/** Runs something for each side in turn, again and again, each time with a pod of its own. */
export function inTurn(
  sides: readonly Side[],
  count: number,
  body: (side: Side, pod: string, isCounted: boolean) => void,
): void {
  for (let number = -WARM_UP; number < count; number += 1) {
    // Neither always runs while the kernel still cleans up after the other.
    for (const side of number % 2 === 0 ? sides : sides.toReversed()) {
      const pod = `pod-${side.name}-${number + WARM_UP}`;
      ip('netns', 'add', pod);
      body(side, pod, number >= 0);
      ip('netns', 'del', pod);
    }
  }
}

/** A pod of each side that is there all the time, as on any node: what the first pod makes, and the last takes away, is a row of its own. */
export function settle(sides: readonly Side[], add: (side: Side, pod: string) => void): void {
  for (const side of sides) {
    const pod = `resident-${basename(side.host.path)}`;
    ip('netns', 'add', pod);
    add(side, pod);
  }
}
