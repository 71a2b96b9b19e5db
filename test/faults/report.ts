/** What the harness saw, as a document. */
import { cpus } from 'node:os';
import { crowd } from './crowd.ts';
import { type Row, tryPlugin } from './experiment.ts';
import { losePower } from './power-loss.ts';
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
  const start = performance.now();
  const rows = await tryPlugins(extent);
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  const findings = rows.flatMap((row) => row.findings);
  const calls = rows.reduce((sum, { killPoints, faults }) => sum + killPoints + faults, 0);
  const parts = [
    '| plugin | command | kill points | other faults | left or lost |\n|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.title} | ${row.command} | ${row.killPoints} | ${row.faults} | ${row.findings.length} |`,
    ),
    `\n${calls} faults in ${minutes} minutes on ${cpus().length} cores, Linux.\n`,
  ];
  if (extent.only === '') {
    const power = await losePower(extent.programs, extent.stride);
    parts.push(
      `Power loss: ${power.outages} states that an earlier boot may leave of a flannel ADD (${power.changes} changes of files, cut at each; ` +
        `content whole, empty, torn, zeros); in the next boot ${power.findings.length} times an address was lost or a DEL held up.\n`,
    );
    const many = await crowd(extent.pods);
    parts.push(
      `Crowd: ${many.pods} ADDs at once took ${many.seconds.ADD.toFixed(1)} s, ${2 * many.pods} DELs at once (two of each pod) ` +
        `${many.seconds.DEL.toFixed(1)} s; meanwhile the reference host-local reserved and freed ${many.foreign} addresses in the same ` +
        `folder, and GC ran ${many.collections} times. Address given twice, pod out of reach, anything left: ${many.findings.length}.\n`,
    );
    findings.push(...power.findings, ...many.findings);
  }
  return { text: parts.join('\n'), findings };
}

async function tryPlugins({ only, stride, programs, atOnce }: Extent): Promise<Row[]> {
  const queue = SUBJECTS.filter(({ title }) => title.startsWith(only)).entries();
  const rows = new Map<number, Row[]>();
  const worker = async (): Promise<void> => {
    for (const [index, subject] of queue) {
      const start = performance.now();
      rows.set(index, await tryPlugin(subject, programs, { stride, offset: 0 }));
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      console.log(`${subject.title}: ${seconds} s`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return [...rows].toSorted(([a], [b]) => a - b).flatMap(([, own]) => own);
}
