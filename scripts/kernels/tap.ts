/** The output of `ava --tap`, read as it comes. Tests say by a log that begins with "skipped: " that they were skipped, and why. */

/** A test that has ended. */
export interface TestEnd {
  readonly title: string;
  readonly hasPassed: boolean;
  /** Why it was skipped; undefined: it was not. */
  skipReason: string | undefined;
  /** What it logged, and its failure. */
  readonly words: string[];
}

const END = /^(ok|not ok) \d+ - (.*)$/;
const LOG = /^# {3}(.*)$/;

/** What AVA writes around the tests. */
const FRAME = /^(TAP version \d+|\d+\.\.\d+|# (tests|pass|fail|skip) \d+|)$/;

const SKIPPED = 'skipped: ';

export class TapReader {
  /** All tests so far. */
  readonly ends: TestEnd[] = [];

  /** Reads the next line. @returns it as people read it; undefined: it says nothing to them */
  read(line: string): string | undefined {
    const [, verdict, title] = END.exec(line) ?? [];
    if (title !== undefined) {
      const hasPassed = verdict === 'ok';
      this.ends.push({ title, hasPassed, skipReason: undefined, words: [] });
      return `  ${hasPassed ? '✔' : '✘'} ${title}`;
    }
    if (FRAME.test(line)) return undefined;
    const [, log] = LOG.exec(line) ?? [];
    const words = log ?? line;
    const last = this.ends.at(-1);
    last?.words.push(words);
    if (last !== undefined && log?.startsWith(SKIPPED) === true)
      last.skipReason = log.slice(SKIPPED.length);
    return `    ${log === undefined ? words : `ℹ ${words}`}`;
  }
}
