/**
 * System calls that another process disturbs, at the very moment when it matters. Node's own functions are replaced for a moment: what runs is
 * the product's code.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test from 'ava';
import { temporaryFolder } from '#test/folder.ts';
import { isSysError } from '#lib/sys/error.ts';
import { readStdin, writeStdout } from '#lib/sys/process.ts';
import { TemporaryFile } from '#lib/sys/temporary-file.ts';

type Function = (...args: never[]) => unknown;

/** Replaces one of Node's functions until `using` ends. `make` gets the real one. */
function replaced<N extends 'openSync' | 'readSync' | 'writeSync'>(
  name: N,
  make: (real: (typeof fs)[N]) => Function,
): Disposable {
  const real = fs[name];
  Object.assign(fs, { [name]: make(real) });
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]() {
      Object.assign(fs, { [name]: real });
      syncBuiltinESMExports();
    },
  };
}

/** Takes files away as soon as they are made, `times` often. */
const takingAway = (times: number) =>
  replaced('openSync', (real) => {
    let left = times;
    return (path: string, ...rest: never[]) => {
      const fd = real(path, ...(rest as [never]));
      if (path.includes('.tmp-') && left > 0) {
        left -= 1;
        fs.unlinkSync(path);
      }
      return fd;
    };
  });

test.serial('a temporary file that was removed before it was locked is made again', (t) => {
  const folder = temporaryFolder(t);
  using _others = takingAway(3);
  using file = new TemporaryFile(join(folder, 'a'), 'content');
  t.is(fs.readFileSync(file.path, 'utf8'), 'content');
});

test.serial('a temporary file that is removed each time is an error, and leaves nothing', (t) => {
  const folder = temporaryFolder(t);
  using _others = takingAway(100);
  const error = t.throws(() => new TemporaryFile(join(folder, 'a'), 'content'));
  t.true(isSysError(error, 'ENOENT'));
  t.regex(error?.message ?? '', /another process removes our files/);
  t.deepEqual(fs.readdirSync(folder), []);
});

const notReady = (syscall: string): Error =>
  Object.assign(new Error('EAGAIN'), { code: 'EAGAIN', errno: -11, syscall });

/** Standard input that is not ready `times` often, then says `text`, then ends. */
const slowInput = (times: number, text: string) =>
  replaced('readSync', () => {
    let left = times;
    let rest = Buffer.from(text);
    return (_fd: number, buffer: Buffer) => {
      if (left > 0) {
        left -= 1;
        throw notReady('read');
      }
      const length = rest.copy(buffer);
      rest = rest.subarray(length);
      return length;
    };
  });

test.serial('a standard input that is not ready yet is waited for', (t) => {
  using _slow = slowInput(3, '{"name":"net1"}');
  t.is(readStdin(1000).toString(), '{"name":"net1"}');
});

/** A clock that goes on by ten seconds whenever it is looked at. */
function fastClock(): Disposable {
  const real = process.hrtime;
  let seconds = 0;
  const fast = (): [number, number] => [(seconds += 10), 0];
  process.hrtime = Object.assign(fast, { bigint: () => real.bigint() });
  return {
    [Symbol.dispose]() {
      process.hrtime = real;
    },
  };
}

test.serial('a standard input that is never ready is an error after a limit', (t) => {
  using _never = slowInput(Infinity, '');
  using _fast = fastClock();
  const error = t.throws(() => readStdin(1000));
  t.true(isSysError(error, 'ETIMEDOUT'));
  t.is(error?.message, 'read: standard input was not ready within 60 seconds');
});

test.serial('a standard output that is never ready is an error after a limit', (t) => {
  using _never = replaced('writeSync', () => () => {
    throw notReady('write');
  });
  using _fast = fastClock();
  const error = t.throws(() => writeStdout('{}'));
  t.true(isSysError(error, 'ETIMEDOUT'));
  t.is(error?.message, 'write: standard output was not ready within 60 seconds');
});
