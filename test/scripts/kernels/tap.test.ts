/** What the host reads of a guest's results. */
import test from 'ava';
import { TapReader } from '#scripts/kernels/tap.ts';

const OUTPUT = `TAP version 13
ok 1 - root/bridge: it works
#   40 pods
ok 2 - root/bridge: it needs more
#   skipped: this kernel has no such thing
not ok 3 - root/bridge: it fails
    ---
    message: 'not ok 4 - no test'
    ...
ok 4 - root/bridge: another one

1..4
# tests 4
# pass 3
# fail 1
not ok 0 - root/ptp: ended with status 124`;

test('TapReader tells passed, failed and skipped tests apart, with their words', (t) => {
  const reader = new TapReader();
  const printed = OUTPUT.split('\n').flatMap((line) => reader.read(line) ?? []);
  t.deepEqual(
    reader.ends.map(({ title, hasPassed, skipReason }) => [title, hasPassed, skipReason]),
    [
      ['root/bridge: it works', true, undefined],
      ['root/bridge: it needs more', true, 'this kernel has no such thing'],
      ['root/bridge: it fails', false, undefined],
      ['root/bridge: another one', true, undefined],
      ['root/ptp: ended with status 124', false, undefined],
    ],
  );
  t.deepEqual(reader.ends[0]?.words, ['40 pods']);
  t.regex(String(reader.ends[2]?.words), /not ok 4 - no test/);
  t.deepEqual(printed.slice(0, 2), ['  ✔ root/bridge: it works', '    ℹ 40 pods']);
  t.false(printed.some((line) => /TAP version|# pass|1\.\.4/.test(line)));
});
