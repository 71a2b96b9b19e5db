/** A kernel that answers nonsense: lengths of nothing and past the end, other people's answers, lists without an end. */
import * as fc from 'fast-check';
import { Address } from '#lib/addr/address.ts';
import { listAddresses } from '#lib/net/address.ts';
import { listPortVlans } from '#lib/net/bridge.ts';
import { listConnections } from '#lib/net/conntrack.ts';
import { getLink, type Link, listLinks } from '#lib/net/link.ts';
import { decodeMessages, encodeMessage, NLM_F, NLMSG_DONE, NLMSG_ERROR } from '#lib/net/message.ts';
import { Netlink } from '#lib/net/netlink.ts';
import { Nftables } from '#lib/net/nftables.ts';
import { getRootQdisc, listFilters } from '#lib/net/qdisc.ts';
import { findPath, listRoutes } from '#lib/net/route.ts';
import { ack, done, hex } from '#test/lib/net/fake-kernel.ts';
import { ADDRESS, CONNECTION, ELEMENT, LINK, QDISC, ROUTE, RULE } from '#test/lib/net/replies.ts';
import { succeedsOrFailsCleanly } from './clean.ts';
import { fuzzProperty } from './property.ts';
import { damaged } from './values.ts';

/** How long an answer may take here: one without an end ends then. */
const LIMIT_MS = 3;

const whole = (text: string) => {
  const [message] = decodeMessages(hex(text));
  if (message === undefined) throw new Error('No message');
  return message;
};
const withoutHeader = (type: number, text: string) => ({
  type,
  flags: NLM_F.MULTI,
  body: hex(text),
});

const filter = `00 00 0000 03000000 00080080 0000ffff 00030100 0800 0100 75333200
  4000 0200 3c00 0700 3800 0100 0b00 0100 6d697272656400 00
  2400 0280 2000 0200 00000000 00000000 04000000 00000000 00000000 01000000 04000000`;

/** A port in VLAN 1, untagged, and in 5 to 7. */
const vlans = `07 00 0100 03000000 03110000 00000000 0800 0300 78797a00
  1c00 1a80 0800 0200 0600 0100 0800 0200 0800 0500 0800 0200 1000 0700`;

const [address, link, element, rule] = [ADDRESS, LINK, ELEMENT, RULE].map(whole);
const own = {
  address,
  link,
  element,
  rule,
  route: withoutHeader(24, ROUTE),
  qdisc: withoutHeader(36, QDISC),
  filter: withoutHeader(44, filter),
  vlans: withoutHeader(16, vlans),
  connection: withoutHeader(0x100, CONNECTION),
};
type Kind = keyof typeof own;

const PORT = { index: 3, name: 'port' } as Link;
const TABLE = { family: 'inet', name: 't' } as const;

/** Everything that lists or looks up, with what it asks for. */
const QUESTIONS: readonly (readonly [Kind, (netlink: Netlink) => unknown])[] = [
  ['link', (netlink) => getLink(netlink, 'eth0')],
  ['link', (netlink) => listLinks(netlink, PORT)],
  ['address', (netlink) => listAddresses(netlink, PORT)],
  ['route', (netlink) => listRoutes(netlink, 4, PORT)],
  ['route', (netlink) => findPath(netlink, Address.parse('10.1.0.2'))],
  ['vlans', (netlink) => listPortVlans(netlink, PORT)],
  ['qdisc', (netlink) => getRootQdisc(netlink, PORT)],
  ['filter', (netlink) => listFilters(netlink, PORT)],
  ['connection', (netlink) => listConnections(netlink, 4, 17)],
  ['rule', (netlink) => new Nftables(netlink).listRules(TABLE, 'c')],
  ['element', (netlink) => new Nftables(netlink).listElements(TABLE, 's')],
  ['element', (netlink) => new Nftables(netlink).getElement(TABLE, 's', new Uint8Array(4))],
  ['rule', (netlink) => new Nftables(netlink).chainUse(TABLE, 'c')],
  [
    'rule',
    (netlink) => new Nftables(netlink).commit([{ op: 'x', type: 0xa00, body: new Uint8Array(4) }]),
  ],
];

const errno = fc.oneof(fc.constantFrom(0, -1, -2, -19, 5, -(2 ** 31), 2 ** 31 - 1), fc.integer());

const ending = fc.record({
  type: fc.constantFrom(NLMSG_ERROR, NLMSG_DONE, 1, 4),
  flags: fc.constantFrom(
    0,
    NLM_F.CAPPED,
    NLM_F.ACK_TLVS,
    NLM_F.CAPPED | NLM_F.ACK_TLVS,
    NLM_F.DUMP_INTR,
  ),
  body: damaged(
    errno.map((number) => {
      const body = Buffer.alloc(32);
      body.writeInt32LE(number, 0);
      return body;
    }),
  ),
});

/** Two bytes in place of others: every length and every type is such a pair. */
const pairs = fc.array(
  fc.tuple(fc.nat({ max: 400 }), fc.constantFrom(0, 1, 3, 4, 5, 8, 0x7fff, 0xffff)),
  {
    maxLength: 2,
  },
);

const message = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('own' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...(Object.keys(own) as Kind[])) },
    { weight: 3, arbitrary: ending },
  ),
  sequence: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
  /** How much of the body there is. */
  share: fc.constantFrom(1, 1, 1, 0.9, 0.5, 0.1, 0.02, 0),
  pairs,
});

/** Messages, what becomes of them on the way, and whether the kernel ends its answer as it should. */
const datagram = fc.record({
  messages: fc.array(message, { maxLength: 3 }),
  pairs,
  isEnded: fc.boolean(),
});

type Datagram = typeof datagram extends fc.Arbitrary<infer T> ? T : never;

function overwrite(bytes: Buffer, places: readonly (readonly [number, number])[]): Buffer {
  for (const [at, value] of places) {
    if (bytes.length >= 2) bytes.writeUInt16LE(value, at % (bytes.length - 1));
  }
  return bytes;
}

function encode(
  { messages, pairs: outer, isEnded }: Datagram,
  asked: Kind,
  sequence: number,
): Buffer {
  const parts = messages.map(({ kind, sequence: off, share, pairs: inner }) => {
    const chosen = typeof kind === 'object' ? kind : own[kind === 'own' ? asked : kind];
    if (chosen === undefined) throw new Error('No message');
    const body = Buffer.from(chosen.body.subarray(0, Math.floor(chosen.body.length * share)));
    return encodeMessage({ ...chosen, sequence: sequence + off, body: overwrite(body, inner) });
  });
  const bytes = overwrite(Buffer.concat(parts), outer);
  const end = isEnded ? [ack(), done()].map((last) => encodeMessage({ ...last, sequence })) : [];
  return Buffer.concat([bytes, ...end]);
}

/** Says what it is to say; from then on its last words, for ever. */
function answering(datagrams: readonly Datagram[], asked: Kind): Netlink {
  let sequence = 0;
  let next = 0;
  const transport = {
    send: (bytes: Uint8Array) => void (sequence = decodeMessages(bytes).at(-1)?.sequence ?? 0),
    receive() {
      const chosen = datagrams[Math.min(next, datagrams.length - 1)];
      next += 1;
      return chosen === undefined ? new Uint8Array() : encode(chosen, asked, sequence);
    },
    [Symbol.dispose]() {},
  };
  return new Netlink(transport, LIMIT_MS);
}

/** What the kernel answers, as far as it is read. */
export const NETLINK = [
  fuzzProperty(
    'netlink answers',
    1_000,
    fc.property(
      fc.nat({ max: QUESTIONS.length - 1 }),
      fc.array(datagram, { minLength: 1, maxLength: 2 }),
      (question, datagrams) => {
        const [asked, ask] = QUESTIONS[question] ?? [];
        if (asked === undefined) throw new Error('No question');
        succeedsOrFailsCleanly(() => ask?.(answering(datagrams, asked)));
      },
    ),
  ),
];
