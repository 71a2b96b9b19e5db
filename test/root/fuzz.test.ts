/** A moment of fuzzing whole calls, always the same: in namespaces of its own, by the program that goes on for longer. */
import { join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { ownScript } from '#scripts/world/command.ts';
import { ROOT } from '#scripts/world/paths.ts';

const SCRIPT = join(ROOT, 'scripts', 'fuzz.ts');

test('hostile calls and spoilt state: clean answers, nothing left, nothing changed that is not ours', async (t) => {
  const program = ownScript(SCRIPT, '--short', '--seed', '20261121');
  const { exitCode, stdout, stderr } = await execa(...program, { reject: false });
  t.is(exitCode, 0, `${stdout}\n${stderr}`);
  t.regex(stdout, /nothing found$/);
});
