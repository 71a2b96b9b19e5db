/** What the demo looks at: what it should be and what it is, and the table of it. */

/** `seen` undefined: it could not be looked at, and `expected` says why. */
export interface Check {
  readonly what: string;
  readonly expected: string;
  readonly seen: string | undefined;
}

/** Whether it is as it should be; what could not be looked at is no fault. */
export const holds = ({ expected, seen }: Check): boolean =>
  seen === undefined || seen === expected;

/** One line a check, in columns. */
export function checkTable(checks: readonly Check[]): string {
  return table([
    ['', 'what', 'expected', 'seen'],
    ...checks.map((check) => [mark(check), check.what, check.expected, check.seen ?? '(skipped)']),
  ]);
}

const mark = (check: Check): string => (check.seen === undefined ? '–' : holds(check) ? '✓' : '✗');

/** Rows as text: columns as wide as their widest cell, a line under the first row. */
export function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd();
  const rule = widths.map((width) => '─'.repeat(width));
  return [head, rule, ...rows].map(line).join('\n');
}
