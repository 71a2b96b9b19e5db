/** Which unit tests look at a file: those that import it, else those of its room. */
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ROOT } from '#scripts/world/paths.ts';

const TESTS = globSync('test/{lib,plugins,fuzz}/**/*.test.ts', { cwd: ROOT });

/** Every module that a file imports, and what those import within test/. */
function importsOf(file: string, known = new Set<string>()): ReadonlySet<string> {
  const text = readFileSync(join(ROOT, file), 'utf8');
  for (const [, path = ''] of text.matchAll(/from '([#.][^']+\.ts)'/g)) {
    const target = path.startsWith('#') ? path.slice(1) : join(dirname(file), path);
    if (known.has(target)) continue;
    known.add(target);
    if (target.startsWith('test/')) importsOf(target, known);
  }
  return known;
}

const IMPORTS = new Map(TESTS.map((test) => [test, importsOf(test)]));

/** The tests of a product file, paths from the root; none if nobody looks at its room. */
export function testsOf(file: string): string[] {
  const direct = TESTS.filter((test) => IMPORTS.get(test)?.has(file));
  if (direct.length > 0) return direct;
  const room = dirname(file);
  return TESTS.filter((test) => dirname(test) === join('test', room));
}

/** A room's short name, such as "lib/net". */
export const roomOf = (file: string): string => join('lib', basename(dirname(file)));
