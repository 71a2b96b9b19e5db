import test from 'ava';
import { describeSandbox, formatSandbox, isGone, parseSandbox } from '#lib/ownership/sandbox.ts';

for (const path of [
  '/proc/self/ns/net',
  '/proc/1/task/1/ns/net',
  '/proc/1/root/run/netns/a',
  '/proc/1/fd/7',
  '/dev/fd/7',
]) {
  test(`describeSandbox() makes no evidence of ${path}, which may end before the namespace`, (t) => {
    t.is(describeSandbox(path), undefined);
  });
}

test('isGone() needs a proof: the same view of the file system, and a path that can be looked at', (t) => {
  const path = `/proc/${process.pid}/ns/net`;
  const sandbox = describeSandbox(path);
  if (sandbox === undefined) {
    t.log('skipped: this kernel names no mount namespace, and process 1 can not be looked at');
    t.pass();
    return;
  }
  t.deepEqual(parseSandbox(formatSandbox(sandbox)), sandbox);
  t.false(isGone(sandbox));
  t.true(isGone({ ...sandbox, id: '4:1' }));
  t.true(isGone({ ...sandbox, path: '/run/netns/none' }));
  t.false(isGone({ ...sandbox, id: '4:1', view: '1/254:2' }));
  t.false(isGone({ ...sandbox, path: '/proc/self/ns/uts' }));
});
