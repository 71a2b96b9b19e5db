import test from 'ava';
import * as fc from 'fast-check';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { allocationRange, RangeSet } from '#plugins/host-local/range-set.ts';

const range = (subnet: string, start?: string, end?: string, gateway?: string) => ({
  subnet: Prefix.parse(subnet),
  rangeStart: start === undefined ? undefined : Address.parse(start),
  rangeEnd: end === undefined ? undefined : Address.parse(end),
  gateway: gateway === undefined ? undefined : Address.parse(gateway),
});

const candidates = (set: RangeSet, last?: string): string[] =>
  Array.from(set.candidates(last === undefined ? undefined : Address.parse(last)), ({ address }) =>
    String(address).replace('10.1.0.', '.'),
  );

test('IPv4 ranges end before the broadcast address, IPv6 ranges do not', (t) => {
  t.is(String(allocationRange(range('10.1.0.0/29')).addresses), '10.1.0.1-10.1.0.6');
  t.is(String(allocationRange(range('fd00::/126')).addresses), 'fd00::1-fd00::3');
  t.is(
    String(allocationRange(range('10.1.0.0/29', '10.1.0.0', '10.1.0.7')).addresses),
    '10.1.0.0-10.1.0.7',
  );
});

test('candidates go round from the one after the last, without gateways', (t) => {
  const set = new RangeSet([range('10.1.0.0/29')]);
  t.deepEqual(candidates(set), ['.2', '.3', '.4', '.5', '.6']);
  t.deepEqual(candidates(set, '10.1.0.4'), ['.5', '.6', '.2', '.3', '.4']);
  t.deepEqual(candidates(set, '10.1.0.6'), ['.2', '.3', '.4', '.5', '.6']);
  t.deepEqual(candidates(set, '10.9.9.9'), ['.2', '.3', '.4', '.5', '.6']);
});

test('candidates of several ranges follow one another in a ring', (t) => {
  const set = new RangeSet([
    range('10.1.0.0/24', '10.1.0.10', '10.1.0.12'),
    range('10.1.0.0/24', '10.1.0.30', '10.1.0.31'),
  ]);
  t.deepEqual(candidates(set, '10.1.0.30'), ['.31', '.10', '.11', '.12', '.30']);
  t.deepEqual(candidates(set, '10.1.0.12'), ['.30', '.31', '.10', '.11', '.12']);
});

test('candidates are every address once, the last one given out at the end', (t) => {
  const sets = fc.tuple(
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 70, max: 100 }),
    fc.integer({ min: 0, max: 100 }),
  );
  fc.assert(
    fc.property(
      sets,
      fc.integer({ min: 0, max: 255 }),
      ([start, length, second, gateway], last) => {
        const set = new RangeSet([
          range(
            '10.1.0.0/24',
            `10.1.0.${start}`,
            `10.1.0.${Math.min(start + length, 69)}`,
            `10.1.0.${gateway}`,
          ),
          range('10.1.0.0/24', `10.1.0.${second}`, `10.1.0.${second + 5}`, `10.1.0.${gateway}`),
        ]);
        const all = candidates(set, `10.1.0.${last}`);
        t.is(new Set(all).size, all.length);
        t.is(BigInt(all.length), set.capacity);
        t.false(all.includes(`.${gateway}`));
        if (all.includes(`.${last}`)) t.is(all.at(-1), `.${last}`);
      },
    ),
  );
});
