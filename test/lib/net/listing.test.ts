/** What Linux 6.18 answered to `ip` and `nft`, one field a line, read by our decoders. */
import test from 'ava';
import { decodeAddress } from '#lib/net/address.ts';
import { Attributes, MalformedMessage } from '#lib/net/attribute.ts';
import { decodeLink } from '#lib/net/link.ts';
import { decodeMessages, type Message } from '#lib/net/message.ts';
import { decodeElements, decodeRule } from '#lib/net/nft-listing.ts';
import { decodeRoute } from '#lib/net/route.ts';
import { hex } from './fake-kernel.ts';
import { ADDRESS, ELEMENT, LINK, ROUTE, RULE } from './replies.ts';

const message = (text: string): Message => {
  const [first] = decodeMessages(hex(text));
  if (first === undefined) throw new Error('no message');
  return first;
};

test('an address as `ip addr show dev veth0` gets it', (t) => {
  const address = decodeAddress(message(ADDRESS));
  t.is(address?.prefix.toString(), '10.1.0.2/24');
  t.is(address?.index, 2);
  t.is(address?.label, 'veth0');
  t.true(address?.isGlobal);
  t.false(address?.isTentative);
});

test('an interface as `ip link show dev veth0` gets it, unknown attributes between', (t) => {
  const link = decodeLink(message(LINK));
  t.like(link, {
    index: 2,
    name: 'veth0',
    mac: '02:00:00:00:00:01',
    mtuBytes: 1450,
    txQueueLength: 1000,
    kind: 'veth',
    lower: 2,
    operState: 'down',
    master: undefined,
  });
});

test('an element of a verdict map as `nft list map` gets it', (t) => {
  const [element] = decodeElements(message(ELEMENT));
  t.deepEqual([...(element?.key ?? [])], [10, 1, 0, 2]);
  t.like(element, { chain: 'c', comment: 'x', value: undefined });
});

test('a rule as `nft list chain` gets it', (t) => {
  const rule = decodeRule(message(RULE));
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
  const body = hex(ROUTE);
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
