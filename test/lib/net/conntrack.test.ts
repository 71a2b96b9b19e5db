/** Tracked connections: what Linux 6.18 answered to `conntrack -L`, and what `conntrack -D` 1.4.7 sends. */
import test from 'ava';
import { deleteConnection, listConnections } from '#lib/net/conntrack.ts';
import { decodeMessages } from '#lib/net/message.ts';
import { ack, done, fakeNetlink, hex, tree } from './fake-kernel.ts';
import { CONNECTION, ORIGINAL } from './replies.ts';

/** Both tuples in full. */
const TUPLES = { '1': 0, '1.1': 0, '1.2': 0, '2': 0, '2.1': 0, '2.2': 0 };

const listed = () =>
  fakeNetlink(({ type, flags }) =>
    (flags & 0x300) === 0
      ? [ack()]
      : [{ type: type & 0xff00, flags: 2, body: hex(CONNECTION) }, done()],
  );

test('listConnections() tells where a flow was sent and who answers', (t) => {
  const { netlink, requests } = listed();
  const [flow, ...others] = listConnections(netlink, 4, 17);
  t.deepEqual(others, []);
  t.is(`${flow?.original.source} ${flow?.original.destination}`, '127.0.0.1 127.0.0.1');
  t.is(flow?.original.destinationPort, 5353);
  t.is(flow?.reply.destinationPort, 40_000);
  // A kernel that knows filters compares the protocol alone.
  t.deepEqual(tree((requests[0]?.body ?? Buffer.alloc(0)).subarray(4), { ...TUPLES, '25': 0 }), {
    '1': [{ '2': [{ '1': ['11'] }] }],
    '25': [{ '1': ['08000000'] }],
  });
});

test('listConnections() leaves out other protocols and families, which old kernels answer with', (t) => {
  t.deepEqual(listConnections(listed().netlink, 4, 6), []);
  t.deepEqual(listConnections(listed().netlink, 6, 17), []);
});

/** The first tuple of a message. */
const tuple = (body: Uint8Array = Buffer.alloc(4)) => tree(body.subarray(4), TUPLES)['1'];

test('deleteConnection() names the flow as `conntrack -D` does', (t) => {
  const { netlink, requests } = listed();
  const [flow] = listConnections(netlink, 4, 17);
  t.truthy(flow);
  if (flow !== undefined) deleteConnection(netlink, flow);
  // conntrack sends the other direction, timeout and mark as well; the kernel needs the first tuple alone.
  const [theirs] = decodeMessages(
    hex(`94000000 0201 0500 02000000 00000000 02 00 0000
  ${ORIGINAL}
  3400 0280
    1400 0180 0800 0100 7f000001 0800 0200 7f000001
    1c00 0280 0500 0100 11 000000 0600 0200 0035 0000 0600 0300 9c40 0000
  0800 0300 000001a8
  0800 0700 0000001d
  0800 0800 00000000`),
  );
  const [, ours] = requests;
  t.is(ours?.type, theirs?.type);
  t.is(ours?.flags, theirs?.flags);
  t.deepEqual(ours?.body.subarray(0, 4), theirs?.body.subarray(0, 4));
  t.deepEqual(tuple(ours?.body), tuple(theirs?.body));
});
