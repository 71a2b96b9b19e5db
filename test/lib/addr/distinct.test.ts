import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';

test('distinct() keeps the order, and of equal items the first', (t) => {
  const addresses = ['10.0.0.2', '10.0.0.1', '::ffff:10.0.0.2', 'fd00::1', '10.0.0.1'];
  t.deepEqual(distinct(addresses.map((text) => Address.parse(text))).map(String), [
    '10.0.0.2',
    '10.0.0.1',
    'fd00::1',
  ]);
  t.deepEqual(distinct([]), []);
});

test('distinct() compares by the key, if there is one', (t) => {
  const items = [
    { key: 'a', value: 1 },
    { key: 'b', value: 2 },
    { key: 'a', value: 3 },
  ];
  t.deepEqual(
    distinct(items, ({ key }) => key).map(({ value }) => value),
    [1, 2],
  );
});
