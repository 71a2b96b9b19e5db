import test from 'ava';
import { CniError } from '#lib/cni/error.ts';
import {
  attempt,
  broken,
  type Findings,
  limited,
  throwFirst,
  unavailable,
} from '#lib/cni/finding.ts';

function* several(log: string[]): Findings {
  using end = new DisposableStack();
  end.defer(() => log.push('closed'));
  yield unavailable('first', 'what to do');
  log.push('went on');
  yield broken('second');
}

test('throwFirst() throws the first finding, and what the check holds is given back', (t) => {
  const log: string[] = [];
  const error = t.throws(() => throwFirst(several(log)), { instanceOf: CniError });
  t.like(error, { code: 50, message: 'first', details: 'what to do' });
  t.deepEqual(log, ['closed']);
});

test('throwFirst() of no finding throws nothing', (t) => {
  t.notThrows(() => throwFirst([]));
});

test('who reads on gets every finding', (t) => {
  const found = [...several([]), limited('third', 'more')];
  t.deepEqual(
    found.map(({ code, message }) => [code, message]),
    [
      [50, 'first'],
      [999, 'second'],
      [51, 'third'],
    ],
  );
});

const refuse = (): never => {
  throw new CniError(7, 'no', 'because');
};

test('attempt() makes a finding of an error of the protocol, and of no other', (t) => {
  t.deepEqual([...attempt(refuse)], [{ code: 7, message: 'no', advice: 'because' }]);
  t.deepEqual([...attempt(() => {})], []);
  t.throws(() => [
    ...attempt(() => {
      throw new TypeError('a fault of ours');
    }),
  ]);
});
