import test from 'ava';
import * as z from 'zod/mini';
import { object, parseWith } from '#lib/cni/schema.ts';

test('object() makes the schemas of its keys when one is checked first, not for a key that is absent', (t) => {
  const made: string[] = [];
  const Inner = object(() => {
    made.push('inner');
    return { key: z.string() };
  });
  const Outer = object(() => {
    made.push('outer');
    return { inner: z.optional(Inner) };
  });
  t.deepEqual(made, []);
  t.deepEqual(parseWith(Outer, {}, 'test'), {});
  t.deepEqual(made, ['outer']);
  t.deepEqual(parseWith(Outer, { INNER: { Key: 'value' } }, 'test'), { inner: { key: 'value' } });
  t.deepEqual(made, ['outer', 'inner']);
});

test('object() that is required must be there', (t) => {
  const Outer = object(() => ({ inner: object(() => ({})) }));
  const message = /"inner" is missing/;
  t.throws(() => parseWith(Outer, {}, 'test'), { message });
});
