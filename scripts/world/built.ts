/** The build: made again when it is out of date. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { ownScript } from './command.ts';
import { ScriptFailure } from './failure.ts';
import { BUILT_BIN, ROOT } from './paths.ts';

/** What the build makes last: while it is not there, nothing is built. */
const EXECUTABLE = join(BUILT_BIN, 'cni-suite');

/** What the executables are made of. */
const SOURCES = [
  'lib',
  'plugins',
  'cmd',
  join('scripts', 'build'),
  join('scripts', 'build.ts'),
  'package.json',
];

/** Builds dist/bin if it is not there or older than what it is made of. @throws ScriptFailure */
export async function ensureBuilt(): Promise<void> {
  const built = statSync(EXECUTABLE, { throwIfNoEntry: false })?.mtimeMs;
  if (built !== undefined && built >= newest(SOURCES)) return;
  console.log(
    `Building dist/bin: ${built === undefined ? 'it is not there' : 'it is out of date'}`,
  );
  const build = await execa(...ownScript('scripts/build.ts'), {
    cwd: ROOT,
    stdio: 'inherit',
    reject: false,
  });
  if (build.failed) throw new ScriptFailure('The build failed; its own words are above');
}

/** When the newest of these files, and of the files in these folders, was last changed. */
function newest(paths: readonly string[]): number {
  const files = paths.flatMap((path) => {
    if (statSync(join(ROOT, path)).isFile()) return [join(ROOT, path)];
    return readdirSync(join(ROOT, path), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
  });
  // A file that somebody's editor has just put away is none.
  return Math.max(...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
