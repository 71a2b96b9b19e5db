import test from 'ava';
import { sysError, SysError } from '#lib/sys/error.ts';
import { instanceOf, recover, succeeds } from '#lib/sys/recover.ts';

const failed = (code: string): SysError => new SysError('open', code, { reason: 'no' });

const fail = (error: Error) => (): number => {
  throw error;
};

test('recover() passes the answer of a body that does not fail', (t) => {
  t.is(
    recover(() => 1, sysError('ENOENT')),
    1,
  );
});

test('recover() answers for an expected error, and only for that', (t) => {
  t.is(recover(fail(failed('ENOENT')), sysError('ENOENT', 'ENOTDIR')), undefined);
  t.is(recover(fail(failed('EIO')), sysError()), undefined);
  const error = failed('EIO');
  t.is(
    t.throws(() => recover(fail(error), sysError('ENOENT'))),
    error,
  );
  t.throws(() => recover(fail(new TypeError('x')), sysError()), { instanceOf: TypeError });
});

test('recover() gives the error to what answers in its place, whose own error passes', (t) => {
  const code = recover(fail(failed('EIO')), sysError(), (error) => error.code);
  t.is(code, 'EIO');
  const again = () => recover(fail(failed('EIO')), sysError(), fail(new RangeError('again')));
  t.throws(again, { instanceOf: RangeError });
});

test('instanceOf() expects every class that it is given', (t) => {
  const isExpected = instanceOf(TypeError, SysError);
  t.true(isExpected(new TypeError('x')));
  t.true(isExpected(failed('EIO')));
  t.false(isExpected(new RangeError('x')));
  t.false(isExpected('x'));
});

test('succeeds() tells whether a body failed as expected', (t) => {
  t.true(succeeds(() => {}, sysError('EEXIST')));
  t.false(succeeds(() => void fail(failed('EEXIST'))(), sysError('EEXIST')));
  t.throws(() => succeeds(() => void fail(failed('EIO'))(), sysError('EEXIST')));
});
