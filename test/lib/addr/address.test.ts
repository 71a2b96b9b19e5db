import test from 'ava';
import * as fc from 'fast-check';
import { Address6 } from 'ip-address';
import { Address, AddressError } from '#lib/addr/address.ts';
import { macFromBytes, parseMac } from '#lib/addr/mac.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { Range } from '#lib/addr/range.ts';

const ipv4 = fc.ipV4().map((text) => Address.parse(text));
const ipv6 = fc.ipV6().map((text) => Address.parse(text));
const anyAddress = fc.oneof(ipv4, ipv6);
const anyPrefix = anyAddress.chain((address) =>
  fc
    .integer({ min: 0, max: address.family === 4 ? 32 : 128 })
    .map((bits) => new Prefix(address, bits)),
);

const canonical = test.macro((t, text: string, expected: string) =>
  t.is(Address.parse(text).toString(), expected),
);
for (const [text, expected] of [
  ['10.1.2.3', '10.1.2.3'],
  ['0.0.0.0', '0.0.0.0'],
  ['FD00:1::3', 'fd00:1::3'],
  ['fd00:0001:0:0:0:0:0:3', 'fd00:1::3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['::', '::'],
  ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
] as const) {
  test(`parse() reads ${text} as ${expected}`, canonical, text, expected);
}

for (const text of [
  '',
  '10.1.2',
  '10.1.2.3.4',
  '10.1.2.03',
  '256.1.1.1',
  '10.1.2.3/24',
  'fe80::1%eth0',
  '[::1]',
  '::1/64',
  ' ::1',
  ':::',
  '12345::',
  'x',
]) {
  test(`parse() refuses "${text}"`, (t) =>
    void t.throws(() => Address.parse(text), { instanceOf: AddressError }));
}

test('an address is the same after text, bytes and number', (t) => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      t.true(Address.parse(address.toString()).equals(address));
      t.true(Address.fromBytes(address.toBytes()).equals(address));
      t.true(Address.of(address.family, address.value).equals(address));
    }),
  );
});

const ipv6Text = fc
  .tuple(
    fc.array(fc.constantFrom('0', '1', 'ab', 'FFF0'), { maxLength: 8 }),
    fc.option(fc.array(fc.constantFrom('0', '1', 'ab', '0ff0'), { maxLength: 7 })),
  )
  .map(([head, tail]) => head.join(':') + (tail === null ? '' : `::${tail.join(':')}`));

/** Numbers with runs of zeros in many places, which random ones hardly have. */
const gappedIpv6 = fc
  .array(fc.constantFrom('0', '0', '1', 'ab', 'fff0'), { minLength: 8, maxLength: 8 })
  .map((groups) => Address.parse(groups.join(':')));

test('toString() writes IPv6 as the library does', (t) => {
  fc.assert(
    fc.property(fc.oneof(ipv6, gappedIpv6), (address) => {
      fc.pre(address.family === 6);
      t.is(address.toString(), Address6.fromBigInt(address.value).correctForm());
    }),
    { numRuns: 2000 },
  );
});

/** Text that is nearly IPv6, and often is. */
const likeIpv6 = fc
  .array(fc.constantFrom(':', ':', ':', '::', '0', 'a', 'F1', '12ab', '00000', '1.2.3.4'), {
    maxLength: 18,
  })
  .map((parts) => parts.join(''));

test('parse() reads IPv6 as the library does, and refuses what it refuses', (t) => {
  const seen = { read: 0, refused: 0 };
  const joined = fc.oneof(ipv6Text, likeIpv6);
  fc.assert(
    fc.property(joined, (text) => {
      fc.pre(text.includes(':'));
      if (Address6.isValid(text)) {
        t.true(Address.parse(text).equals(Address.of(6, new Address6(text).bigInt())), text);
        seen.read += 1;
      } else {
        t.throws(() => Address.parse(text), { instanceOf: AddressError }, text);
        seen.refused += 1;
      }
    }),
    { numRuns: 5000 },
  );
  t.true(seen.read > 500 && seen.refused > 500, JSON.stringify(seen));
});

test('plus() does not leave the family', (t) => {
  t.is(Address.parse('10.0.0.255').plus(1n).toString(), '10.0.1.0');
  t.throws(() => Address.parse('255.255.255.255').plus(1n), { instanceOf: AddressError });
  t.throws(() => Address.parse('::').plus(-1n), { instanceOf: AddressError });
});

test('a prefix holds just the addresses from its first to its last', (t) => {
  fc.assert(
    fc.property(anyPrefix, anyAddress, (prefix, address) => {
      const inRange =
        prefix.family === address.family &&
        address.value >= prefix.first.value &&
        address.value <= prefix.last.value;
      t.is(prefix.contains(address), inRange);
      t.is(prefix.last.value - prefix.first.value, (1n << BigInt(prefix.hostBits)) - 1n);
      t.true(Prefix.parse(prefix.toString()).equals(prefix));
    }),
  );
});

test('a prefix keeps its host bits, masked() does not', (t) => {
  const prefix = Prefix.parse('10.244.1.1/24');
  t.is(prefix.toString(), '10.244.1.1/24');
  t.is(prefix.masked().toString(), '10.244.1.0/24');
  t.is(Prefix.parse('::ffff:10.0.0.1/104').toString(), '10.0.0.1/8');
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '::/129',
    '::ffff:10.0.0.1/90',
    '/8',
  ]) {
    t.throws(() => Prefix.parse(text), { instanceOf: AddressError }, text);
  }
});

test('prefixes overlap just when one holds an end of the other', (t) => {
  fc.assert(
    fc.property(anyPrefix, anyPrefix, (a, b) => {
      t.is(a.overlaps(b), b.overlaps(a));
      const ranges =
        a.family === b.family && new Range(a.first, a.last).overlaps(new Range(b.first, b.last));
      t.is(a.overlaps(b), ranges);
    }),
  );
});

test('a range refuses ends that are in the wrong order or of two families', (t) => {
  const [one, two] = [Address.parse('10.0.0.1'), Address.parse('10.0.0.2')];
  t.is(new Range(one, two).size, 2n);
  t.is(String(new Range(one, two)), '10.0.0.1-10.0.0.2');
  t.throws(() => new Range(two, one), { instanceOf: AddressError });
  t.throws(() => new Range(one, Address.parse('::')), { instanceOf: AddressError });
});

test('MAC addresses in each notation', (t) => {
  for (const text of ['02:00:5E:10:00:01', '02-00-5e-10-00-01', '0200.5e10.0001']) {
    t.is(parseMac(text), macFromBytes([2, 0, 0x5e, 0x10, 0, 1]));
  }
  for (const text of ['', '02:00:5e:10:00', '02:00:5e:10:00:0g', '02:00-5e:10:00:01']) {
    t.throws(() => parseMac(text), { instanceOf: AddressError }, text);
  }
});
