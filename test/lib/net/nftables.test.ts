import test from 'ava';
import { isNetlinkError } from '#lib/net/netlink.ts';
import { Nftables } from '#lib/net/nftables.ts';
import { ack, fakeNetlink } from './fake-kernel.ts';

const DELETION = { op: 'delete x', type: 0xa00, body: Buffer.alloc(4) };

/** asm-generic/errno-base.h */
const ENOENT = 2;
const EIO = 5;
const EBUSY = 16;

/** A kernel that answers each request of a transaction with this errno. */
const answering = (errno: number): Nftables =>
  new Nftables(fakeNetlink(({ type }) => (type === DELETION.type ? [ack(errno)] : [])).netlink);

test('delete() accepts what another call deleted', (t) => {
  t.notThrows(() => answering(0).delete([DELETION]));
  t.notThrows(() => answering(ENOENT).delete([DELETION]));
  t.notThrows(() => answering(ENOENT).delete([DELETION], { unlessUsed: true }));
});

test('delete() accepts what is used again where the caller says so', (t) => {
  t.notThrows(() => answering(EBUSY).delete([DELETION], { unlessUsed: true }));
  t.true(
    isNetlinkError(
      t.throws(() => answering(EBUSY).delete([DELETION])),
      'EBUSY',
    ),
  );
});

test('delete() accepts no other refusal', (t) => {
  t.true(
    isNetlinkError(
      t.throws(() => answering(EIO).delete([DELETION], { unlessUsed: true })),
      'EIO',
    ),
  );
});
