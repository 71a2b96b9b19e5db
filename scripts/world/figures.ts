/** Documents whose figures a script writes: between two marks, what people wrote around them stays. */
import { readFileSync, writeFileSync } from 'node:fs';

const MARK = /<!-- (?:begin|end) -->\n/;

/** The text of the last run. */
export const readFigures = (document: string): string =>
  readFileSync(document, 'utf8').split(MARK)[1] ?? '';

/** Puts a text, which ends with a newline, in place of the last run's. */
export function replaceFigures(document: string, text: string): void {
  const [before = '', , after = ''] = readFileSync(document, 'utf8').split(MARK);
  writeFileSync(document, `${before}<!-- begin -->\n${text}<!-- end -->\n${after}`);
}
