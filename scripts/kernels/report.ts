/** docs/compatibility.md: what each boot passed, failed and skipped. A boot replaces its own rows; those of others stay. */
import { readFigures, replaceFigures } from '#scripts/world/figures.ts';
import { type BootResult, countEnds } from './boot.ts';
import { KERNEL_VERSIONS } from './debian-kernel.ts';

/** A table's heading, and what is written where it has no rows. Its rows begin with kernel and IPv6, which tell the boot. */
interface Table {
  readonly heading: string;
  readonly columns: readonly string[];
  readonly none: string;
}

const BOOT = ['kernel', 'IPv6'];

const TABLES = {
  boots: {
    heading: '### Boots',
    columns: [...BOOT, 'Debian', 'date', 'tests', 'passed', 'failed', 'skipped', 'minutes'],
    none: 'None so far.',
  },
  failed: { heading: '### Failed', columns: [...BOOT, 'test', 'failure'], none: 'No test failed.' },
  skipped: {
    heading: '### Skipped',
    columns: [...BOOT, 'test', 'reason'],
    none: 'No test was skipped.',
  },
} as const satisfies Record<string, Table>;

type Row = readonly string[];

/** Writes a boot into the document, whose tables it reads first. */
export function reportBoot(document: string, result: BootResult): void {
  const former = parseTables(readFigures(document));
  const rows = rowsOf(result);
  const text = Object.entries(TABLES)
    .map(([name, table]) => {
      const others = (former.get(table.heading) ?? []).filter((row) => !isOfBoot(row, result));
      const all = [...others, ...rows[name as keyof typeof TABLES]];
      return formatTable(table, all.toSorted(compareBoots));
    })
    .join('\n');
  replaceFigures(document, text);
}

function rowsOf(result: BootResult): Record<keyof typeof TABLES, Row[]> {
  const { boot, ends, fault, minutes } = result;
  const { passed, failed, skipped } = countEnds(result);
  const { debian, release } = boot.kernel;
  const key = keyOf(result);
  const date = new Date().toISOString().slice(0, 10);
  const files = boot.tests.join(' ');
  const counts = [passed, failed, skipped, minutes.toFixed(0)].map(String);
  const failures = ends.filter(({ hasPassed }) => !hasPassed);
  return {
    boots: [[...key, `${debian}, ${release}`, date, files, ...counts]],
    failed: [
      ...failures.map(({ title, words }) => [...key, title, firstWords(words)]),
      ...(fault === undefined ? [] : [[...key, 'the boot', firstWords(fault.split('\n'))]]),
    ],
    skipped: ends.flatMap(({ title, skipReason }) =>
      skipReason === undefined ? [] : [[...key, title, skipReason]],
    ),
  };
}

const keyOf = ({ boot }: BootResult): Row => [boot.kernel.version, boot.hasIpv6 ? 'on' : 'off'];

const isOfBoot = (row: Row, result: BootResult): boolean =>
  keyOf(result).every((cell, index) => row[index] === cell);

/** A failure in the document is there to be found in the log, not to be understood. */
const FAILURE_LENGTH = 160;

const firstWords = (words: readonly string[]): string =>
  words.join(' ').replaceAll(/\s+/g, ' ').trim().slice(0, FAILURE_LENGTH);

/** By version, then with IPv6 first. */
function compareBoots([version = '', ipv6 = '']: Row, [other = '', ipv6OfOther = '']: Row): number {
  const versions: readonly string[] = KERNEL_VERSIONS;
  return versions.indexOf(version) - versions.indexOf(other) || ipv6OfOther.localeCompare(ipv6);
}

function formatTable({ heading, columns, none }: Table, rows: readonly Row[]): string {
  if (rows.length === 0) return `${heading}\n\n${none}\n`;
  const lines = [columns, columns.map(() => '---'), ...rows].map(formatRow);
  return `${heading}\n\n${lines.join('\n')}\n`;
}

const formatRow = (cells: Row): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

/** Rows of the tables by heading, without the first two lines of each. */
function parseTables(text: string): Map<string, Row[]> {
  const tables = new Map<string, Row[]>();
  for (const part of text.split(/^(?=### )/m)) {
    const [heading = '', ...lines] = part.split('\n');
    const rows = lines.filter((line) => line.startsWith('| ')).slice(2);
    tables.set(heading, rows.map(parseRow));
  }
  return tables;
}

const parseRow = (line: string): string[] =>
  line
    .slice(2, -2)
    .split(/ (?<!\\)\| /)
    .map((cell) => cell.replaceAll('\\|', '|'));
