/** Comparing a request of ours with the bytes that another program was seen to send. */
import test from 'ava';
import { decodeMessages } from '#lib/net/message.ts';
import type { Netlink, Request } from '#lib/net/netlink.ts';
import { Nftables } from '#lib/net/nftables.ts';
import { ack, fakeNetlink, hex, tree } from './fake-kernel.ts';

/** What we send, what the other program sent; lengths of nested headers by the path of their attribute. */
interface Captured {
  readonly send: (netlink: Netlink) => void;
  readonly captured: string;
  readonly headerBytes: number;
  readonly nested?: Readonly<Record<string, number>>;
}

/** The same type, flags, header and attributes, in whatever order. */
export const matches = test.macro((t, { send, captured, headerBytes, nested }: Captured) => {
  const { netlink, requests } = fakeNetlink(() => [ack()]);
  send(netlink);
  const [theirs] = decodeMessages(hex(captured));
  const [ours] = requests;
  t.is(ours?.type, theirs?.type);
  t.is(ours?.flags.toString(16), theirs?.flags.toString(16));
  t.is(
    Buffer.from(ours?.body.subarray(0, headerBytes) ?? []).toString('hex'),
    Buffer.from(theirs?.body.subarray(0, headerBytes) ?? []).toString('hex'),
  );
  const attributes = (body?: Uint8Array) =>
    tree((body ?? Buffer.alloc(0)).subarray(headerBytes), nested);
  t.deepEqual(attributes(ours?.body), attributes(theirs?.body));
});

/** nft sends a batch; acknowledgements it asks for in other ways. */
export const nftMatches = test.macro(
  (t, request: Request, captured: string, nested: Readonly<Record<string, number>>) => {
    const { netlink, requests } = fakeNetlink(({ type }) => (type < 0x100 ? [] : [ack()]));
    new Nftables(netlink).commit([request]);
    const theirs = decodeMessages(hex(captured));
    t.is(requests.length, 3);
    for (const index of [0, 2]) {
      t.is(requests[index]?.type, theirs[index]?.type);
      t.deepEqual(Buffer.from(requests[index]?.body ?? []), Buffer.from(theirs[index]?.body ?? []));
    }
    t.is(requests[1]?.type, theirs[1]?.type);
    t.is((requests[1]?.flags ?? 0) & ~0x4, theirs[1]?.flags ?? -1);
    const attributes = (body?: Uint8Array) => tree((body ?? Buffer.alloc(0)).subarray(4), nested);
    t.deepEqual(attributes(requests[1]?.body), attributes(theirs[1]?.body));
  },
);

/** The messages that begin and end a transaction of the nft program. */
export const BATCH_BEGIN = '14000000 1000 0100 00000000 00000000 00 00 000a';
export const BATCH_END = '14000000 1100 0100 02000000 00000000 00 00 000a';
