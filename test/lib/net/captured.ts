/** Comparing a request of ours with the bytes that another program was seen to send. */
import test from 'ava';
import { decodeMessages } from '#lib/net/message.ts';
import type { Netlink } from '#lib/net/netlink.ts';
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
