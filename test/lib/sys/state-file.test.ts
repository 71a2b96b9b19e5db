/** Links, pipes and folders in the place of state files; the modes of what is made. */
import { lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { execaSync } from 'execa';
import { SysError } from '#lib/sys/error.ts';
import { replaceFile } from '#lib/sys/temporary-file.ts';
import { lockFile } from '#lib/sys/lock.ts';
import {
  deleteState,
  ensureStateFolder,
  listStateFolder,
  readState,
  readStateIfRegular,
  stateFileId,
} from '#lib/sys/state-file.ts';
import { plantVictim, temporaryFolder } from '#test/folder.ts';

const mode = (path: string): string => (lstatSync(path).mode & 0o777).toString(8);

test('readState() follows no link, and says so', (t) => {
  const victim = plantVictim(t, 'secret');
  const path = join(temporaryFolder(t), 'state');
  symlinkSync(victim.path, path);
  const error = t.throws(() => readState(path), { instanceOf: SysError });
  t.like(error, { code: 'ELOOP', path });
  t.is(error.message, `open ${path}: it is a symbolic link, which is not followed here`);
  t.is(readStateIfRegular(path), undefined);
  t.not(stateFileId(path), stateFileId(victim.path));
  deleteState(path);
  t.deepEqual(readdirSync(join(path, '..')), []);
  t.true(victim.isUntouched());
});

test('readState() waits for no pipe, and takes no folder for a file', (t) => {
  const folder = temporaryFolder(t);
  execaSync('mkfifo', [join(folder, 'pipe')]);
  mkdirSync(join(folder, 'folder'));
  for (const name of ['pipe', 'folder']) {
    t.throws(() => readState(join(folder, name)), {
      code: 'EINVAL',
      message: /not a regular file/,
    });
    t.is(readStateIfRegular(join(folder, name)), undefined);
    deleteState(join(folder, name));
  }
  t.deepEqual(readdirSync(folder), ['folder']);
  t.is(readState(join(folder, 'none')), undefined);
});

test('a lock that is a link is refused, and makes no file where it leads', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'lock'));
  t.throws(() => lockFile(join(folder, 'lock'), 0o600), {
    code: 'ELOOP',
    message: /lock: it is a symbolic link/,
  });
  t.deepEqual(readdirSync(folder), ['lock']);
});

test('a folder of state that is a link is neither made, nor listed', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync(temporaryFolder(t), join(folder, 'state'));
  const refused = { code: 'ELOOP', message: /state: it is a symbolic link/ };
  t.throws(() => ensureStateFolder(join(folder, 'state'), 0o700), refused);
  t.throws(() => listStateFolder(join(folder, 'state')), refused);
  t.deepEqual(listStateFolder(join(folder, 'none')), []);
});

test.serial('folders, files and locks are for root alone, whatever the umask', (t) => {
  const former = process.umask(0);
  t.teardown(() => process.umask(former));
  const folder = join(temporaryFolder(t), 'a', 'b');
  ensureStateFolder(folder, 0o700);
  replaceFile(join(folder, 'file'), '');
  lockFile(join(folder, 'lock'), 0o600)[Symbol.dispose]();
  t.is(mode(folder), '700');
  t.is(mode(join(folder, '..')), '700');
  t.is(mode(join(folder, 'file')), '600');
  t.is(mode(join(folder, 'lock')), '600');
});

test('a path with a zero byte in it is refused in words', (t) => {
  const error = t.throws(() => readState('/tmp/a\0b'), { instanceOf: SysError });
  t.is(error.message, 'open /tmp/a\0b: the path has a zero byte in it');
});
