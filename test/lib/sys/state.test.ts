import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { execaSync } from 'execa';
import { temporaryFolder } from '#test/folder.ts';
import { isSysError, SysError } from '#lib/sys/error.ts';
import { deleteFile, linkFile, readTextIfAny } from '#lib/sys/file.ts';
import { replaceFile } from '#lib/sys/temporary-file.ts';
import { sysCall } from '#lib/sys/libc.ts';
import { lockFile, LockTimeout } from '#lib/sys/lock.ts';
import { lifetimeId, openNetns, openOwnNetns, within } from '#lib/sys/netns.ts';

test('replaceFile() leaves nothing beside the file', (t) => {
  const path = temporaryFolder(t);
  replaceFile(join(path, 'a'), 'one');
  replaceFile(join(path, 'a'), 'two');
  t.is(readTextIfAny(join(path, 'a')), 'two');
  t.deepEqual(readdirSync(path), ['a']);
  t.throws(() => replaceFile(join(path, 'none', 'a'), 'x'), { instanceOf: SysError });
});

test('linkFile() tells when the name is taken, deleteFile() accepts absence', (t) => {
  const path = temporaryFolder(t);
  writeFileSync(join(path, 'a'), 'x');
  t.true(linkFile(join(path, 'a'), join(path, 'b')));
  t.false(linkFile(join(path, 'a'), join(path, 'b')));
  t.true(deleteFile(join(path, 'b')));
  t.false(deleteFile(join(path, 'b')));
  t.false(deleteFile(join(path, 'b', 'c')));
});

test('a lock is waited for no longer than its limit, and given back by using', (t) => {
  const path = join(temporaryFolder(t), 'lock');
  {
    using _held = lockFile(path, 0o600);
    const error = t.throws(() => lockFile(path, 0o600, 20), { instanceOf: LockTimeout });
    t.is(error.path, path);
    t.regex(error.message, new RegExp(`seconds, now process ${process.pid} \\(.+\\)$`));
  }
  using _again = lockFile(path, 0o600, 20);
});

test('a failed call carries the name of its errno and the path', (t) => {
  const error = t.throws(() => sysCall('setns', (c) => c.setns(-1, 0), '/x'), {
    instanceOf: SysError,
  });
  t.like(error, { code: 'EBADF', path: '/x', message: 'setns /x: bad file descriptor' });
  t.true(isSysError(error, 'EBADF'));
  t.false(isSysError(error, 'ENOENT'));
});

test('within() returns to where it was, also after an error', (t) => {
  using own = openOwnNetns();
  const { id } = own;
  t.throws(
    () =>
      within(own, () => {
        throw new Error('x');
      }),
    { message: 'x' },
  );
  using after = openOwnNetns();
  t.is(after.id, id);
  t.throws(() => openNetns('/etc/passwd'), { message: /unknown FS magic on "\/etc\/passwd"/ });
});

test('lifetimeId() tells a namespace from the next one, which gets its inode', async (t) => {
  const name = `cni-test-${process.pid}-life`;
  const ids: string[] = [];
  for (const _ of Array.from({ length: 5 })) {
    execaSync('ip', ['netns', 'add', name]);
    {
      using netns = openNetns(`/run/netns/${name}`);
      ids.push(lifetimeId(netns));
      t.is(lifetimeId(netns), ids.at(-1) ?? '');
    }
    execaSync('ip', ['netns', 'del', name]);
    // The kernel gives the inode back after a while.
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.is(new Set(ids).size, ids.length);
});
