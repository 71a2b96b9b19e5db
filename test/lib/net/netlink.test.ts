import test from 'ava';
import { MalformedMessage } from '#lib/net/attribute.ts';
import { encodeMessage, type Message, NLM_F, NLMSG_ERROR } from '#lib/net/message.ts';
import { Netlink, NetlinkError } from '#lib/net/netlink.ts';
import { BATCH } from '#lib/net/nft-message.ts';
import { ack, done, fakeNetlink, hex } from './fake-kernel.ts';

const EINVAL = 22;
const ENOENT = 2;
const request = { op: 'frob', type: 18, body: new Uint8Array(16) };
const object = { type: 16, flags: NLM_F.MULTI, body: Buffer.alloc(16) };

test('request() returns what comes before the acknowledgement', (t) => {
  const { netlink, requests } = fakeNetlink(() => [object, object, ack()]);
  t.is(netlink.request(request).length, 2);
  t.is(requests[0]?.flags, NLM_F.REQUEST | NLM_F.ACK);
});

test("request() throws the kernel's refusal with its own words", (t) => {
  // NLMSG_ERROR with NLM_F_CAPPED | NLM_F_ACK_TLVS: errno, the request's header, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS
  const body = hex(`eaffffff 20000000 1200 0500 01000000 00000000
    0f00 0100 4e6f207375636820 6d6500 00
    0800 0200 14000000`);
  const { netlink } = fakeNetlink(() => [{ type: NLMSG_ERROR, flags: 0x300, body }]);
  const error = t.throws(() => netlink.request(request), { instanceOf: NetlinkError });
  t.like(error, { op: 'frob', code: 'EINVAL', kernelMessage: 'No such me', offset: 20 });
  t.is(error.message, 'frob: invalid argument: No such me');
});

test('dump() begins again while the list changes, and gives up at last', (t) => {
  let disturbed = 3;
  const settles = fakeNetlink(() => {
    disturbed -= 1;
    return [{ ...object, flags: NLM_F.MULTI | (disturbed > 0 ? NLM_F.DUMP_INTR : 0) }, done()];
  });
  t.is(settles.netlink.dump(request).length, 1);
  t.is(settles.requests.length, 3);
  const never = fakeNetlink(() => [object, done(NLM_F.DUMP_INTR)]);
  const error = t.throws(() => never.netlink.dump(request), { instanceOf: NetlinkError });
  t.is(error.code, 'EINTR');
  t.is(never.requests.length, 20);
});

test('answers to other requests are passed over', (t) => {
  const { netlink } = fakeNetlink(() => [object, ack()]);
  netlink.request(request);
  t.is(netlink.request(request).length, 1);
});

test('batch() throws the first refusal after all are answered', (t) => {
  const bad = { ...request, op: 'bad', type: 0xa06 };
  const { netlink, requests } = fakeNetlink(({ type }) =>
    type < 0x100 ? [] : [ack(type === 0xa06 ? ENOENT : 0)],
  );
  const error = t.throws(
    () => netlink.batch(BATCH, [{ ...request, type: 0xa00 }, bad, { ...bad, op: 'worse' }]),
    { instanceOf: NetlinkError },
  );
  t.like(error, { op: 'bad', code: 'ENOENT' });
  t.is(requests.length, 5);
});

test('batch() takes a refused begin for the refusal of all', (t) => {
  const { netlink } = fakeNetlink(({ type }) => (type === BATCH.begin.type ? [ack(EINVAL)] : []));
  t.throws(() => netlink.batch(BATCH, [{ ...request, type: 0xa00 }]), {
    instanceOf: NetlinkError,
  });
});

/** A transport that has the same datagram to say for ever. */
const endless = (message: Omit<Message, 'sequence'>, sequence: number): Netlink =>
  new Netlink(
    {
      send() {},
      receive: () => encodeMessage({ ...message, sequence }),
      [Symbol.dispose]() {},
    },
    20,
  );

for (const [what, sequence] of [
  ['that never ends', 1],
  ['of nothing but answers to others', 7],
] as const) {
  test(`an answer ${what} is waited for no longer than the limit`, (t) => {
    const reason = { code: 'ETIMEDOUT', message: /did not end within 0\.02 seconds/ };
    t.throws(() => endless(object, sequence).request(request), reason);
    t.throws(() => endless(object, sequence).dump(request), reason);
    t.throws(() => endless(object, sequence).batch(BATCH, [request]), reason);
  });
}

test('a datagram without a message in it is waited through as well', (t) => {
  const transport = { send() {}, receive: () => new Uint8Array(3), [Symbol.dispose]() {} };
  t.throws(() => new Netlink(transport, 20).request(request), { code: 'ETIMEDOUT' });
});

test('an acknowledgement with a positive error number is malformed', (t) => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(5, 0);
  const { netlink } = fakeNetlink(() => [{ type: NLMSG_ERROR, flags: 0x100, body }]);
  t.throws(() => netlink.request(request), { instanceOf: MalformedMessage });
});
