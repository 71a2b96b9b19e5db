/**
 * Everything that must hold: the checks, the build, and all tests with the packed executables, in namespaces that go with
 * the program, however it ends; then some of them on another kernel. Installs what they need on Debian. Further arguments go to
 * AVA, and leave the other kernel out. The last line counts: "N passed, N failed".
 */
import { mkdirSync } from 'node:fs';
import { execa } from 'execa';
import { prepareSample, testSample } from './kernels/sample.ts';
import { ensureBuilt } from './world/built.ts';
import { BIN_FOLDER, ROOT } from './world/paths.ts';
import { runScript } from './world/script.ts';
import { TEST_TOOLS } from './world/tools.ts';

/** The tests' folders go with the world, too: its /run is its own. */
const TEMPORARY = '/run/tests';

await runScript({
  name: 'test',
  tools: TEST_TOOLS,
  parse: (args) => args,
  async outside(args, enter) {
    const check = await execa('npm', ['run', 'check'], {
      cwd: ROOT,
      stdio: 'inherit',
      reject: false,
    });
    await ensureBuilt();
    if (args.length === 0) await prepareSample();
    const status = await enter();
    if (check.failed) console.log('npm run check failed: what it says is above');
    return check.failed ? 1 : status;
  },
  inside(args) {
    mkdirSync(TEMPORARY);
    return ava(args);
  },
});

/** Runs AVA with its own report on the terminal, then counts. @returns the exit status */
async function ava(args: readonly string[]): Promise<number> {
  const { all, failed } = await execa('ava', args, {
    cwd: ROOT,
    preferLocal: true,
    env: { CNI_TEST_BIN: BIN_FOLDER, TMPDIR: TEMPORARY },
    stdout: ['inherit', 'pipe'],
    stderr: ['inherit', 'pipe'],
    all: true,
    reject: false,
  });
  // AVA sums up the passed ones only if none failed.
  const passed = all.match(/^\s*✔ /gm)?.length ?? 0;
  const counted = count(all, /(\d+) tests? failed/) + count(all, /(\d+) uncaught exceptions?/);
  // A run that AVA could not even begin, or that it broke off, counts as a failure too.
  const here = failed && counted === 0 ? 1 : counted;
  const guests = args.length === 0 ? await testSample(TEMPORARY) : { passed: 0, failed: 0 };
  const failures = here + guests.failed;
  console.log(`${passed + guests.passed} passed, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

function count(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}
