/** What Linux 6.18 answered to `ip` and `nft`, one field a line, read by our decoders. */
import test from 'ava';
import { decodeAddress } from '#lib/net/address.ts';
import { Attributes, MalformedMessage } from '#lib/net/attribute.ts';
import { decodeLink } from '#lib/net/link.ts';
import { decodeMessages, type Message } from '#lib/net/message.ts';
import { decodeElements, decodeRule } from '#lib/net/nft-listing.ts';
import { decodeRoute } from '#lib/net/route.ts';
import { hex } from './fake-kernel.ts';

const message = (text: string): Message => {
  const [first] = decodeMessages(hex(text));
  if (first === undefined) throw new Error('no message');
  return first;
};

test('an address as `ip addr show dev veth0` gets it', (t) => {
  const address = decodeAddress(
    message(`58000000 1400 2200 3908016b 2c5f0000
    02 18 80 00 02000000
    0800 0100 0a010002
    0800 0200 0a010002
    0800 0400 0a0100ff
    0a00 0300 766574683000 0000
    0800 0800 80000000
    1400 0600 ffffffff ffffffff e8720700 e8720700`),
  );
  t.is(address?.prefix.toString(), '10.1.0.2/24');
  t.is(address?.index, 2);
  t.is(address?.label, 'veth0');
  t.true(address?.isGlobal);
  t.false(address?.isTentative);
});

test('an interface as `ip link show dev veth0` gets it, unknown attributes between', (t) => {
  const link = decodeLink(
    message(`80000000 1000 0000 3808016b dd644dcb
    00 00 0100 02000000 03100000 00000000
    0a00 0300 766574683000 0000
    0800 0d00 e8030000
    0500 1000 02 000000
    0500 4300 00 000000
    0800 0400 aa050000
    0800 1e00 00000000
    0a00 0100 020000000001 0000
    1000 1200 0900 0100 7665746800 000000
    0800 2500 00000000
    0800 0500 02000000`),
  );
  t.like(link, {
    index: 2,
    name: 'veth0',
    mac: '02:00:00:00:00:01',
    mtuBytes: 1450,
    txQueueLength: 1000,
    kind: 'veth',
    peer: 2,
    operState: 'down',
    master: undefined,
  });
});

test('an element of a verdict map as `nft list map` gets it', (t) => {
  const [element] = decodeElements(
    message(`5c000000 0c0a 0200 00000000 4f5f0000 02 00 000a
    0600 0100 7400 0000
    0900 0200 706f647300 000000
    3400 0300 3000 0100
      0c00 0100 0800 0100 0a010002
      1800 0200 1400 0200 0800 0100 fffffffc 0600 0200 6300 0000
      0800 0600 00027800`),
  );
  t.deepEqual([...(element?.key ?? [])], [10, 1, 0, 2]);
  t.like(element, { chain: 'c', comment: 'x', value: undefined });
});

test('a rule as `nft list chain` gets it', (t) => {
  const rule = decodeRule(
    message(`d0000000 060a 0208 00000000 535f0000 02 00 000a
    0600 0100 7400 0000
    0900 0200 706f737400 000000
    0c00 0300 0000000000000004
    9400 0400
      3400 0100 0c00 0100 7061796c6f616400 2400 0200
        0800 0100 00000001 0800 0200 00000001 0800 0300 00000010 0800 0400 00000001
      2c00 0100 0800 0100 636d7000 2000 0200
        0800 0100 00000001 0800 0200 00000000 0c00 0300 0500 0100 0a 000000
      3000 0100 0e00 0100 696d6d65646961746500 0000 1c00 0200
        0800 0100 00000000 1000 0200 0c00 0200 0800 0100 fffffffb
    0800 0700 00027800`),
  );
  t.is(rule.handle, 4n);
  t.is(rule.comment, 'x');
  t.deepEqual(rule.targets, []);
  t.deepEqual(
    rule.values.map((value) => [...value]),
    [[10]],
  );
});

test('lengths beyond the bytes are refused', (t) => {
  t.throws(() => Attributes.decode(hex('0800 0100 0a01')), { instanceOf: MalformedMessage });
  t.throws(() => Attributes.decode(hex('0300 0100')), { instanceOf: MalformedMessage });
  t.throws(() => decodeMessages(hex('20000000 1000 0000 00000000 00000000')), {
    instanceOf: MalformedMessage,
  });
  t.throws(() => new Attributes([{ type: 1, value: Buffer.alloc(2) }]).u32(1), {
    instanceOf: MalformedMessage,
  });
});

test('a route as `ip route show` gets it', (t) => {
  const body = hex(`02 18 00 00 fe 03 00 01 00000000
    0800 0f00 fe000000
    0800 0100 c0000200
    0800 0600 32000000
    1400 0800 0800 0200 14050000 0800 0800 b0040000
    0800 0500 0a010001
    0800 0400 02000000`);
  const route = decodeRoute({ type: 24, flags: 2, sequence: 1, body });
  t.is(String(route?.dst), '192.0.2.0/24');
  t.is(String(route?.gw), '10.1.0.1');
  t.like(route, { oif: 2, priority: 50, mtuBytes: 1300, advmssBytes: 1200, table: 254 });
});

test('a message that is shorter than its header is refused, as is an address of an odd length', (t) => {
  const short = { type: 16, flags: 0, sequence: 1, body: Buffer.alloc(3) };
  for (const decode of [decodeAddress, decodeLink, decodeRoute]) {
    t.throws(() => decode(short), { instanceOf: MalformedMessage });
  }
  const odd = hex('02 18 80 00 02000000 0800 0200 0a010002 0700 0200 0a0100 00');
  t.throws(() => decodeAddress({ ...short, body: odd }), { instanceOf: MalformedMessage });
  const long = hex('02 ff 80 00 02000000 0800 0200 0a010002');
  t.throws(() => decodeAddress({ ...short, body: long }), { instanceOf: MalformedMessage });
});
