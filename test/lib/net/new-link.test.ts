/** Making interfaces, against what `ip` of iproute2 6.1 sends on Linux 6.18: the same headers and attributes. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { parseMac } from '#lib/addr/mac.ts';
import { addLink } from '#lib/net/new-link.ts';
import { matches } from './captured.ts';

/** The interface below. */
const P0 = { index: 3 };

/** A tunnel as flannel makes it. */
const VXLAN = { vni: 1, port: 8472, device: 3, learning: false, gbp: false };

test(
  'addLink() as `ip link add veth0 up address … mtu 1450 type veth peer name eth0 address … mtu 1450`',
  matches,
  {
    send: (netlink) =>
      addLink(netlink, {
        kind: 'veth',
        name: 'veth0',
        mac: parseMac('02:00:00:00:00:01'),
        mtuBytes: 1450,
        isUp: true,
        peer: { name: 'eth0', mac: parseMac('02:00:00:00:00:02'), mtuBytes: 1450 },
      }),
    headerBytes: 16,
    // IFLA_LINKINFO, IFLA_INFO_DATA, VETH_INFO_PEER with its own struct ifinfomsg
    nested: { '18': 0, '18.2': 0, '18.2.1': 16 },
    captured: `84000000 1000 0506 3808016b 00000000
    00 00 0000 00000000 01000000 01000000
    0a00 0100 020000000001 0000
    0800 0400 aa050000
    0a00 0300 766574683000 0000
    4400 1200
      0800 0100 76657468
      3800 0200
        3400 0100 00 00 0000 00000000 00000000 00000000
          0a00 0100 020000000002 0000
          0800 0400 aa050000
          0900 0300 6574683000 000000`,
  },
);

test('addLink() as `ip link add br0 up address … mtu 1450 type bridge`', matches, {
  send: (netlink) =>
    addLink(netlink, {
      kind: 'bridge',
      name: 'br0',
      mac: parseMac('02:00:00:00:00:03'),
      mtuBytes: 1450,
      isUp: true,
      vlanFiltering: false,
    }),
  headerBytes: 16,
  nested: { '18': 0 },
  captured: `4c000000 1000 0506 3808016b 00000000
    00 00 0000 00000000 01000000 01000000
    0a00 0100 020000000003 0000
    0800 0400 aa050000
    0800 0300 62723000
    1000 1200 0a00 0100 627269646765 0000`,
});

test('addLink() as `ip link add br1 up address … type bridge vlan_filtering 1`', matches, {
  send: (netlink) =>
    addLink(netlink, {
      kind: 'bridge',
      name: 'br1',
      mac: parseMac('02:00:00:00:00:03'),
      isUp: true,
      vlanFiltering: true,
    }),
  headerBytes: 16,
  nested: { '18': 0, '18.2': 0 },
  captured: `50000000 1000 0506 eb1b016b 00000000
    00 00 0000 00000000 01000000 01000000
    0a00 0100 020000000003 0000
    0800 0300 62723100
    1c00 1200
      0a00 0100 627269646765 0000
      0c00 0200 0500 0700 01 000000`,
});

test('addLink() of an ifb as the plugin makes it', matches, {
  send: (netlink) =>
    addLink(netlink, {
      kind: 'ifb',
      name: 'bwpe8f6f419596f',
      mtuBytes: 1500,
      txQueueLength: 0,
      isUp: true,
    }),
  headerBytes: 16,
  // Flags that are to be changed: the one bit (01000000), where the plugin says all.
  captured: `50000000 1000 0506 06000000 00000000 00 00 0000 00000000 01000000 01000000
    1400 0300 62777065386636663431393539366600
    0800 0400 dc050000
    0800 0d00 00000000
    0c00 1200 0700 0100 69666200`,
  nested: { '18': 0 },
});

test('addLink() as `ip link add v5 link p0 mtu 1400 type vlan id 5`', matches, {
  send: (netlink) =>
    addLink(netlink, { kind: 'vlan', name: 'v5', mtuBytes: 1400, parent: P0, id: 5 }),
  headerBytes: 16,
  nested: { '18': 0, '18.2': 0 },
  captured: `50000000 1000 0506 70dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0800 0400 78050000
    0800 0500 03000000
    0700 0300 763500 00
    1800 1200
      0800 0100 766c616e
      0c00 0200
        0600 0100 0500 0000`,
});

test(
  'addLink() as `ip link add mv0 link p0 address … type macvlan mode private bcqueuelen 2000`',
  matches,
  {
    send: (netlink) =>
      addLink(netlink, {
        kind: 'macvlan',
        name: 'mv0',
        mac: parseMac('02:00:00:00:00:07'),
        parent: P0,
        mode: 'private',
        broadcastQueue: 2000,
      }),
    headerBytes: 16,
    nested: { '18': 0, '18.2': 0 },
    captured: `60000000 1000 0506 70dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0a00 0100 020000000007 0000
    0800 0500 03000000
    0800 0300 6d763000
    2400 1200
      0b00 0100 6d6163766c616e 00
      1400 0200
        0800 0700 d0070000
        0800 0100 01000000`,
  },
);

test('addLink() as `ip link add ipv0 link p0 type ipvlan mode l3s`', matches, {
  send: (netlink) => addLink(netlink, { kind: 'ipvlan', name: 'ipv0', parent: P0, mode: 'l3s' }),
  headerBytes: 16,
  nested: { '18': 0, '18.2': 0 },
  captured: `58000000 1000 0506 70dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0800 0500 03000000
    0900 0300 6970763000 000000
    2400 1200
      0a00 0100 6970766c616e 0000
      1400 0200
        0600 0100 0200 0000
        0600 0200 0000 0000`,
});

test('addLink() as `ip link add vrf0 type vrf table 10`', matches, {
  send: (netlink) => addLink(netlink, { kind: 'vrf', name: 'vrf0', table: 10 }),
  headerBytes: 16,
  nested: { '18': 0, '18.2': 0 },
  captured: `44000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0900 0300 7672663000 000000
    1800 1200
      0700 0100 767266 00
      0c00 0200
        0800 0100 0a000000`,
});

test('addLink() as `ip link add d0 type dummy`', matches, {
  send: (netlink) => addLink(netlink, { kind: 'dummy', name: 'd0' }),
  headerBytes: 16,
  nested: { '18': 0 },
  captured: `38000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0700 0300 643000 00
    1000 1200
      0900 0100 64756d6d79 000000`,
});

test('addLink() as `ip link add wg0 type wireguard`', matches, {
  send: (netlink) => addLink(netlink, { kind: 'wireguard', name: 'wg0' }),
  headerBytes: 16,
  nested: { '18': 0 },
  captured: `3c000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0800 0300 77673000
    1400 1200
      0d00 0100 776972656775617264 000000`,
});

test(
  'addLink() as `ip link add flannel.1 type vxlan id 1 dev p0 local 192.0.2.1 dstport 8472 nolearning`',
  matches,
  {
    send: (netlink) =>
      addLink(netlink, {
        kind: 'vxlan',
        name: 'flannel.1',
        ...VXLAN,
        local: Address.parse('192.0.2.1'),
      }),
    headerBytes: 16,
    nested: { '18': 0, '18.2': 0 },
    captured: `6c000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    0e00 0300 666c616e6e656c2e3100 0000
    3c00 1200
      0900 0100 76786c616e 000000
      2c00 0200
        0800 0300 03000000
        0800 0100 01000000
        0800 0400 c0000201
        0500 0700 00 000000
        0600 0f00 2118 0000`,
  },
);

test(
  'addLink() as `ip link add flannel-v6.1 type vxlan id 1 dev p0 local fd00::1 dstport 8472 learning gbp`',
  matches,
  {
    send: (netlink) =>
      addLink(netlink, {
        kind: 'vxlan',
        name: 'flannel-v6.1',
        ...VXLAN,
        local: Address.parse('fd00::1'),
        learning: true,
        gbp: true,
      }),
    headerBytes: 16,
    nested: { '18': 0, '18.2': 0 },
    captured: `80000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    1100 0300 666c616e6e656c2d76362e3100 000000
    4c00 1200
      0900 0100 76786c616e 000000
      3c00 0200
        0800 0300 03000000
        0400 1700 
        0800 0100 01000000
        1400 1100 fd000000000000000000000000000001
        0500 0700 01 000000
        0600 0f00 2118 0000`,
  },
);

test('addLink() as `ip link add flannel.ipip type ipip local 192.0.2.1 dev p0`', matches, {
  send: (netlink) =>
    addLink(netlink, {
      kind: 'ipip',
      name: 'flannel.ipip',
      local: Address.parse('192.0.2.1'),
      device: 3,
    }),
  headerBytes: 16,
  nested: { '18': 0, '18.2': 0 },
  // Without the options that iproute2 sends as zeros; the device was put in by hand.
  captured: `64000000 1000 0506 71dc0e6b 00000000
    00 00 0000 00000000 00000000 00000000
    1100 0300 666c616e6e656c2e6970697000 000000
    3000 1200
      0800 0100 69706970
      2400 0200
        0800 0100 03000000
        0800 0200 c0000201
        0500 0400 00 000000
        0500 0a00 01 000000`,
});
