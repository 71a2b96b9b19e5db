/** Requests about routes against what `ip` of iproute2 6.1 sends on Linux 6.18. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { addRoute, decodeRoute, deleteRoute, replaceRoute } from '#lib/net/route.ts';
import { matches } from './captured.ts';
import { ack, fakeNetlink, hex } from './fake-kernel.ts';

const POD = Address.parse('10.1.0.2');

test(
  'addRoute() as `ip route append 192.0.2.0/24 via 10.1.0.1 dev veth0 mtu 1300 advmss 1200 metric 50`',
  matches,
  {
    send: (netlink) =>
      addRoute(netlink, {
        dst: Prefix.parse('192.0.2.0/24'),
        gw: Address.parse('10.1.0.1'),
        oif: 2,
        mtuBytes: 1300,
        advmssBytes: 1200,
        priority: 50,
      }),
    headerBytes: 12,
    nested: { '8': 0 },
    captured: `50000000 1800 050c 3808016b 00000000
    02 18 00 00 fe 03 00 01 00000000
    0800 0100 c0000200
    0800 0500 0a010001
    0800 0600 32000000
    0800 0400 02000000
    1400 0800 0800 0200 14050000 0800 0800 b0040000`,
  },
);

test(
  'addRoute() with a source as `ip route append 10.1.0.1/32 dev veth0 scope link src 10.1.0.2`',
  matches,
  {
    send: (netlink) => addRoute(netlink, { dst: Prefix.parse('10.1.0.1/32'), oif: 3, src: POD }),
    headerBytes: 12,
    captured: `34000000 1800 050c 3123016b 00000000
    02 20 00 00 fe 03 fd 01 00000000
    0800 0100 0a010001
    0800 0700 0a010002
    0800 0400 03000000`,
  },
);

test(
  'addRoute() with both as `ip route append 192.0.2.0/24 via 10.1.0.1 dev veth0 src 10.1.0.2`',
  matches,
  {
    send: (netlink) =>
      addRoute(netlink, {
        dst: Prefix.parse('192.0.2.0/24'),
        gw: Address.parse('10.1.0.1'),
        oif: 3,
        src: POD,
      }),
    headerBytes: 12,
    captured: `3c000000 1800 050c 3123016b 00000000
    02 18 00 00 fe 03 00 01 00000000
    0800 0100 c0000200
    0800 0500 0a010001
    0800 0700 0a010002
    0800 0400 03000000`,
  },
);

test(
  'addRoute() of IPv6 with a source as `ip route append fd00:1::1/128 dev veth0 src fd00:1::2`',
  matches,
  {
    send: (netlink) =>
      addRoute(netlink, {
        dst: Prefix.parse('fd00:1::1/128'),
        oif: 3,
        src: Address.parse('fd00:1::2'),
      }),
    headerBytes: 12,
    captured: `4c000000 1800 050c 3123016b 00000000
    0a 80 00 00 fe 03 00 01 00000000
    1400 0100 fd000001000000000000000000000001
    1400 0700 fd000001000000000000000000000002
    0800 0400 03000000`,
  },
);

test('replaceRoute() as `ip route replace 10.9.0.2/32 dev veth0`', matches, {
  send: (netlink) => replaceRoute(netlink, { dst: Prefix.parse('10.9.0.2/32'), oif: 3 }),
  headerBytes: 12,
  captured: `2c000000 1800 0505 3123016b 00000000
    02 20 00 00 fe 03 fd 01 00000000
    0800 0100 0a090002
    0800 0400 03000000`,
});

test('deleteRoute() as `ip route del 10.1.0.0/24 dev veth0`', matches, {
  send: (netlink) => deleteRoute(netlink, { dst: Prefix.parse('10.1.0.0/24'), oif: 3 }),
  headerBytes: 12,
  captured: `2c000000 1900 0500 3123016b 00000000
    02 18 00 00 fe 00 ff 00 00000000
    0800 0100 0a010000
    0800 0400 03000000`,
});

test('deleteRoute() accepts a route that is gone', (t) => {
  const ESRCH = 3;
  const { netlink } = fakeNetlink(() => [ack(ESRCH)]);
  t.notThrows(() => deleteRoute(netlink, { dst: Prefix.parse('10.1.0.0/24'), oif: 3 }));
});

test(
  'addRoute() as `ip route append 10.244.2.0/24 via 10.244.2.0 dev p0 onlink proto 80`',
  matches,
  {
    send: (netlink) =>
      addRoute(netlink, {
        dst: Prefix.parse('10.244.2.0/24'),
        gw: Address.parse('10.244.2.0'),
        oif: 3,
        protocol: 80,
        isOnLink: true,
      }),
    headerBytes: 12,
    // Recorded with "add" (0506), where "append" has 050c.
    captured: `34000000 1800 050c 72dc0e6b 00000000
    02 18 00 00 fe 50 00 01 04000000
    0800 0100 0af40200
    0800 0500 0af40200
    0800 0400 03000000`,
  },
);

test('decodeRoute() tells who made a route, and that its gateway is on the link', (t) => {
  const body = hex(`02 18 00 00 fe 50 00 01 04000000
    0800 0100 0af40200 0800 0500 0af40200 0800 0400 03000000`);
  const route = decodeRoute({ type: 24, flags: 2, sequence: 1, body });
  t.like(route, { protocol: 80, isOnLink: true, oif: 3, scope: 0 });
  t.is(String(route?.dst), '10.244.2.0/24');
});
