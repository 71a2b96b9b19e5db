/** Documents whose figures a script writes: between two marks, what people wrote around them stays. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Puts a text, which ends with a newline, in place of the last run's. */
export function replaceFigures(document: string, text: string): void {
  const [before = '', , after = ''] = readFileSync(document, 'utf8').split(
    /<!-- (?:begin|end) -->\n/,
  );
  writeFileSync(document, `${before}<!-- begin -->\n${text}<!-- end -->\n${after}`);
}
