/** Changes of one place of a file, by Stryker: which of them the file's unit tests notice. */
import { join } from 'node:path';
import { Stryker } from '@stryker-mutator/core';
import { ROOT } from '#scripts/world/paths.ts';
import { testsOf } from './tests-of.ts';

/** Tests that a change made run for ever are ended after this long, and what they take without one on top. */
const TIMEOUT_MS = 10_000;

/** A file's mutants: how many there were, and those that no test noticed. */
export interface Outcome {
  readonly file: string;
  readonly mutants: number;
  /** Place, mutator and replacement, in one line each. */
  readonly survivors: readonly string[];
}

/** Tries every mutant of a file. Words of texts are not changed: no test should look at each. */
export async function mutate(file: string): Promise<Outcome> {
  const tests = testsOf(file);
  if (tests.length === 0) return { file, mutants: 0, survivors: [] };
  const stryker = new Stryker({
    mutate: [file],
    testRunner: 'command',
    commandRunner: { command: `node_modules/.bin/ava ${tests.join(' ')}` },
    mutator: { plugins: [], excludedMutations: ['StringLiteral'] },
    timeoutMS: TIMEOUT_MS,
    // Of the parsers of tsconfig.json that it knows, none reads that of TypeScript 7; nothing of it is needed.
    tsconfigFile: 'none.json',
    tempDirName: join('dist', 'mutate'),
    ignorePatterns: ['dist', 'docs'],
    reporters: [],
    // The enumeration of levels is no part of what the package exports.
    logLevel: 'off' as never,
    concurrency: 2,
    cleanTempDir: 'always',
    allowConsoleColors: false,
  });
  const results = await stryker.runMutationTest();
  const tried = results.filter(({ status }) => status !== 'Ignored');
  return {
    file,
    mutants: tried.length,
    survivors: tried
      .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
      .map(
        ({ location: { start }, mutatorName, replacement }) =>
          `${file}:${start.line}:${start.column} ${mutatorName}: ${oneLine(replacement ?? '')}`,
      ),
  };
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 100);

/** Where Stryker must run: it looks for everything from there. */
export const enterRoot = (): void => process.chdir(ROOT);
