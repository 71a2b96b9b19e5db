/** Forwarding entries of tunnels, against what `bridge` of iproute2 6.1 sends and gets on Linux 6.18. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { parseMac } from '#lib/addr/mac.ts';
import { deleteFdbEntry, listFdb, replaceFdbEntry } from '#lib/net/fdb.ts';
import type { Link } from '#lib/net/link.ts';
import { matches } from './captured.ts';
import { ack, done, fakeNetlink, hex } from './fake-kernel.ts';

const VX9 = { index: 5, name: 'vx9' } as Link;
const ENTRY = { mac: parseMac('02:00:00:00:00:09'), destination: Address.parse('192.0.2.2') };

test('replaceFdbEntry() as `bridge fdb replace … dev vx9 dst 192.0.2.2 self permanent`', matches, {
  send: (netlink) => replaceFdbEntry(netlink, VX9, ENTRY),
  headerBytes: 12,
  captured: `30000000 1c00 0505 73dc0e6b 00000000
    07 00 0000 05000000 c000 02 00
    0a00 0200 020000000009 0000
    0800 0100 c0000202`,
});

test('deleteFdbEntry() as `bridge fdb del … dev vx9 dst 192.0.2.2 self`', matches, {
  send: (netlink) => deleteFdbEntry(netlink, VX9, ENTRY),
  headerBytes: 12,
  captured: `30000000 1d00 0500 73dc0e6b 00000000
    07 00 0000 05000000 c000 02 00
    0a00 0200 020000000009 0000
    0800 0100 c0000202`,
});

test('deleteFdbEntry() accepts an entry that is gone', (t) => {
  const { netlink } = fakeNetlink(() => [ack(2)]);
  t.notThrows(() => deleteFdbEntry(netlink, VX9, ENTRY));
});

/** One message of a list, without its header. */
const entry = (index: string, attributes: string) => ({
  type: 28,
  flags: 2,
  body: hex(`07 00 0000 ${index} c000 02 01 ${attributes}`),
});

test('listFdb() reads what `bridge fdb show dev vx9` gets, and leaves other interfaces alone', (t) => {
  const zeros = `0a00 0200 000000000000 0000 0800 0100 c0000203
    1400 0300 00000000 1f000000 3d000000 00000000`;
  const other = '0a00 0200 020000000008 0000 0800 0100 c0000202';
  const local = '0a00 0200 020000000009 0000';
  const { netlink } = fakeNetlink(() => [
    entry('05000000', zeros),
    entry('04000000', other),
    entry('05000000', local),
    done(),
  ]);
  t.deepEqual(
    listFdb(netlink, VX9).map(({ mac, destination, isPermanent }) => [
      mac,
      String(destination),
      isPermanent,
    ]),
    [['00:00:00:00:00:00', '192.0.2.3', true]],
  );
});
