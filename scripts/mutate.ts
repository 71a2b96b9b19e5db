/**
 * npm run mutate: changes lib/ in one place at a time and runs the unit tests that look at it; what no test notices is printed, and kept in
 * dist/mutants.txt. A whole run writes its score to CONTRIBUTING.md. npm run mutate -- FILE…: these files or folders alone.
 */
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { enterRoot, mutate, type Outcome } from './mutate/mutants.ts';
import { roomOf } from './mutate/tests-of.ts';
import { ScriptFailure } from './world/failure.ts';
import { replaceFigures } from './world/figures.ts';
import { ROOT } from './world/paths.ts';
import { runMain } from './world/script.ts';

const DOCUMENT = join(ROOT, 'CONTRIBUTING.md');
const SURVIVORS = join(ROOT, 'dist', 'mutants.txt');

/** @throws ScriptFailure for a path under which there is nothing */
function filesOf(path: string): string[] {
  const files = globSync(path.endsWith('.ts') ? path : `${path}/**/*.ts`, { cwd: ROOT });
  if (files.length === 0) throw new ScriptFailure(`There is no "${path}" to change`);
  return files.toSorted();
}

async function main(paths: readonly string[]): Promise<number> {
  enterRoot();
  const files = (paths.length === 0 ? ['lib'] : paths).flatMap(filesOf);
  const outcomes: Outcome[] = [];
  for (const file of files) {
    const outcome = await mutate(file);
    outcomes.push(outcome);
    const killed = outcome.mutants - outcome.survivors.length;
    console.log(`${file}: ${killed} of ${outcome.mutants} noticed`);
    for (const survivor of outcome.survivors) console.log(`  ${survivor}`);
    writeFileSync(SURVIVORS, outcomes.flatMap(({ survivors }) => survivors).join('\n'));
  }
  const table = scoreTable(outcomes);
  console.log(`\n${table}`);
  if (paths.length === 0) replaceFigures(DOCUMENT, table);
  return 0;
}

/** A line a room, and the whole. */
function scoreTable(outcomes: readonly Outcome[]): string {
  const rooms = Map.groupBy(outcomes, ({ file }) => roomOf(file));
  return [
    '| room | changes | noticed | score |',
    '|---|---|---|---|',
    ...[...rooms].map(([room, own]) => scoreLine(room, own)),
    scoreLine('all', outcomes),
    '',
  ].join('\n');
}

function scoreLine(name: string, outcomes: readonly Outcome[]): string {
  const mutants = outcomes.reduce((sum, outcome) => sum + outcome.mutants, 0);
  const noticed = outcomes.reduce((sum, one) => sum + one.mutants - one.survivors.length, 0);
  const share = mutants === 0 ? '–' : `${Math.round((100 * noticed) / mutants)} %`;
  return `| ${name} | ${mutants} | ${noticed} | ${share} |`;
}

await runMain('mutate', () => main(process.argv.slice(2)));
