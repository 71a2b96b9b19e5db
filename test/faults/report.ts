/** What the harness saw, as a document. */
import { cpus, release } from 'node:os';
import { type Crowd, crowd } from './crowd.ts';
import { type Row, tryPlugin } from './experiment.ts';
import { losePower, type PowerLoss } from './power-loss.ts';
import { SUBJECTS } from './subjects.ts';

/** How much is to be tried. */
export interface Extent {
  /** Plugins whose title begins so. */
  readonly only: string;
  readonly stride: number;
  /** The folder of the plugins behind the door. */
  readonly programs: string;
  readonly pods: number;
  readonly atOnce: number;
}

/** The document, and everything that should not have been. */
export interface Report {
  readonly text: string;
  readonly findings: readonly string[];
}

/** Lets the plugins meet their faults. */
export async function report(extent: Extent): Promise<Report> {
  const { only, stride, programs, pods } = extent;
  const start = performance.now();
  const rows = new Map<number, Row[]>();
  const jobs = SUBJECTS.filter(({ title }) => title.startsWith(only)).map(
    (subject, index) => async (): Promise<string> => {
      rows.set(index, await tryPlugin(subject, programs, { stride, offset: 0 }));
      return subject.title;
    },
  );
  let power: PowerLoss | undefined;
  const cut = async (): Promise<string> => {
    power = await losePower(programs, stride);
    return 'power loss';
  };
  await runJobs([...(only === '' ? [cut] : []), ...jobs], extent.atOnce);
  const all = [...rows].toSorted(([a], [b]) => a - b).flatMap(([, own]) => own);
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  const many = only === '' ? await crowd(pods) : undefined;
  return {
    text: [
      table(all),
      `${stride === 1 ? '' : `A sample, every ${stride}th fault: `}${count(all)} faults in ${minutes} minutes, on ${cpus().length} cores and Linux ${kernel()}.\n`,
      power === undefined ? '' : describePowerLoss(power),
      many === undefined ? '' : describeCrowd(many),
    ].join('\n'),
    findings: [
      ...all.flatMap(({ findings }) => findings),
      ...(power?.findings ?? []),
      ...(many?.findings ?? []),
    ],
  };
}

/** Runs jobs, so many at once; each says what it was. */
async function runJobs(jobs: readonly (() => Promise<string>)[], atOnce: number): Promise<void> {
  const queue = jobs.values();
  const worker = async (): Promise<void> => {
    for (const job of queue) {
      const start = performance.now();
      const title = await job();
      console.log(`${title}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const kernel = (): string => release().split('-')[0] ?? '';

const count = (rows: readonly Row[]): number =>
  rows.reduce((sum, { killPoints, faults }) => sum + killPoints + faults, 0);

const table = (rows: readonly Row[]): string =>
  [
    '| plugin | command | kill points | other faults | left or lost |\n|---|---|---|---|---|',
    ...rows.map(
      ({ title, command, killPoints, faults, findings }) =>
        `| ${title} | ${command} | ${killPoints} | ${faults} | ${findings.length} |`,
    ),
    '',
  ].join('\n');

const describePowerLoss = ({ outages, changes, findings }: PowerLoss): string =>
  `Power loss: ${outages} states that an earlier boot may leave of a flannel ADD (${changes} changes of files, cut off after each). ` +
  `In the next boot an address was lost, or a DEL held up, ${findings.length} times.\n`;

const describeCrowd = ({ pods, foreign, collections, seconds, findings }: Crowd): string => {
  const [adding, changing, deleting] = seconds.map((value) => value.toFixed(1));
  return (
    `Crowd: ${pods} ADDs at once on a fresh node took ${adding} s; their DELs, two of each pod, at once with ${pods} other ADDs ${changing} s; ` +
    `the ${2 * pods} DELs of those ${deleting} s. Meanwhile the reference host-local reserved and freed ${foreign} addresses in the same folder, and ` +
    `GC ran ${collections} times. Address given twice or lost, pod out of reach, anything left: ${findings.length}.\n`
  );
};
