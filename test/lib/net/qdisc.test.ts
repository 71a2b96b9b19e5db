/** Queues and filters: what the reference bandwidth plugin 1.1.1 sends, and what Linux 6.18 answers. */
import test from 'ava';
import type { Link } from '#lib/net/link.ts';
import type { Message } from '#lib/net/message.ts';
import {
  addIngressQdisc,
  addRedirect,
  getRootQdisc,
  listFilters,
  replaceTokenBucket,
} from '#lib/net/qdisc.ts';
import { matches } from './captured.ts';
import { ack, done, fakeNetlink, hex } from './fake-kernel.ts';
import { QDISC } from './replies.ts';

const VETH = { name: 'veth0', index: 3 } as Link;
const IFB = { name: 'bwp0', index: 4 } as Link;
const BUCKET = { bytesPerSecond: 12_500_000, bufferTicks: 1_250_000, limitBytes: 1_312_500 };
const TCMSG_BYTES = 20;

test('replaceTokenBucket() as `tc qdisc replace dev veth0 root handle 1: tbf …`', matches, {
  send: (netlink) => replaceTokenBucket(netlink, VETH, BUCKET),
  headerBytes: TCMSG_BYTES,
  // The flags are those of "replace" (0505), where the plugin sends "add" (0605).
  captured: `58000000 2400 0505 04000000 00000000 00 00 0000 03000000 00000100 ffffffff 00000000
    0800 0100 74626600
    2c00 0200
      2800 0100
        00 00 0000 0000 0000 20bcbe00
        00 00 0000 0000 0000 00000000
        f4061400 d0121300 00000000`,
  nested: { '2': 0 },
});

test('addIngressQdisc() as `tc qdisc add dev veth0 ingress`', matches, {
  send: (netlink) => addIngressQdisc(netlink, VETH),
  headerBytes: TCMSG_BYTES,
  // Without the empty options that the plugin sends.
  captured: `30000000 2400 0506 0b000000 00000000 00 00 0000 03000000 0000ffff f1ffffff 00000000
    0c00 0100 696e677265737300`,
});

test('addRedirect() as `tc filter add … u32 … action mirred egress redirect dev bwp0`', matches, {
  send: (netlink) => addRedirect(netlink, { from: VETH, to: IFB }),
  headerBytes: TCMSG_BYTES,
  // The first of the two actions that the plugin sends: the second redirects nothing any more.
  captured: `94000000 2c00 0506 0c000000 00000000 00 00 0000 03000000 00000000 0000ffff 00030100
    0800 0100 75333200
    6800 0200
      2400 0500 01 00 01 00 0000 0000 0000 0000 00000000 00000000 00000000 00000000 00000000
      0800 0100 01000100
      3800 0700
        3400 0100
          0b00 0100 6d697272656400 00
          2400 0280
            2000 0200 00000000 00000000 04000000 00000000 00000000 01000000 04000000`,
  nested: { '2': 0, '2.7': 0, '2.7.1': 0, '2.7.1.2': 0 },
});

const answering = (...answers: readonly Omit<Message, 'sequence'>[]) =>
  fakeNetlink(() => answers).netlink;

test('getRootQdisc() reads what the kernel answers', (t) => {
  const reply = { type: 36, flags: 0, body: hex(QDISC) };
  const qdisc = { kind: 'tbf', isDefault: false, bucket: BUCKET };
  t.deepEqual(getRootQdisc(answering(reply, ack()), VETH), qdisc);
});

test('getRootQdisc() tells what nobody chose, and an interface that is gone', (t) => {
  const noqueue = `00 00 0000 01000000 00000000 ffffffff 02000000
    0c00 0100 6e6f717565756500`;
  const reply = { type: 36, flags: 0, body: hex(noqueue) };
  const qdisc = { kind: 'noqueue', isDefault: true, bucket: undefined };
  t.deepEqual(getRootQdisc(answering(reply, ack()), VETH), qdisc);
  t.is(getRootQdisc(answering(ack(19)), VETH), undefined);
});

test('listFilters() finds where the filters of an interface send packets, and no hash tables', (t) => {
  const start = '00 00 0000 03000000 00000080 0000ffff 00030100 0800 0100 75333200';
  const hashTable = `${start} 0800 0b00 00000000 0c00 0200 0800 0400 01000000`;
  const filter = `00 00 0000 03000000 00080080 0000ffff 00030100
    0800 0100 75333200
    0800 0b00 00000000
    6c00 0200
      0800 0200 00000080
      0800 0100 01000100
      5800 0700
        5400 0100
          0b00 0100 6d697272656400 00
          4400 0200
            2000 0200 01000000 00000000 04000000 01000000 01000000 01000000 04000000
            2000 0100 2b00000000000000 2b00000000000000 0000000000000000 00000000`;
  const replies = [hashTable, filter].map((text) => ({ type: 44, flags: 2, body: hex(text) }));
  const { netlink } = fakeNetlink(({ body }) =>
    Buffer.from(body).readUInt32LE(12) === 0xffff_0000 ? [...replies, done()] : [done()],
  );
  t.deepEqual(listFilters(netlink, VETH), [{ redirects: [4] }]);
});
