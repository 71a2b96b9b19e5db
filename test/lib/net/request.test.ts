/** Requests against what `ip` and `bridge` of iproute2 6.1 send on Linux 6.18: the same headers and attributes. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { parseMac } from '#lib/addr/mac.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { addAddress } from '#lib/net/address.ts';
import { addPortVlans, deletePortVlans, listPortVlans, setPortOptions } from '#lib/net/bridge.ts';
import {
  type Link,
  setLinkAllMulticast,
  setLinkDown,
  setLinkMtu,
  setLinkPromiscuous,
  setLinkTxQueueLength,
} from '#lib/net/link.ts';
import { replaceNeighbour } from '#lib/net/neighbour.ts';
import { matches } from './captured.ts';
import { done, fakeNetlink, hex } from './fake-kernel.ts';

const veth0 = { index: 2, name: 'veth0' } as Link;

test('addAddress() of IPv4 as `ip addr add 10.1.0.2/24 broadcast 10.1.0.255 dev veth0`', matches, {
  send: (netlink) => addAddress(netlink, veth0, Prefix.parse('10.1.0.2/24'), { noDad: true }),
  headerBytes: 8,
  captured: `30000000 1400 0506 3808016b 00000000
    02 18 00 00 02000000
    0800 0200 0a010002
    0800 0400 0a0100ff
    0800 0100 0a010002`,
});

test(
  'addAddress() of IPv6 as `ip addr add fd00:1::2/64 dev veth0 nodad`, with the flags where they fit',
  matches,
  {
    send: (netlink) => addAddress(netlink, veth0, Prefix.parse('fd00:1::2/64'), { noDad: true }),
    headerBytes: 8,
    // ip puts IFA_F_NODAD into the header; IFA_FLAGS is where flags over 8 bits go, and the kernel prefers it.
    captured: `48000000 1400 0506 3808016b 00000000
    0a 40 00 00 02000000
    1400 0200 fd000001000000000000000000000002
    1400 0100 fd000001000000000000000000000002
    0800 0800 02000000`,
  },
);

test('setLinkDown() as `ip link set veth1 down`', matches, {
  send: (netlink) => setLinkDown(netlink, { index: 2, name: 'veth1' } as Link),
  headerBytes: 16,
  captured: `20000000 1000 0500 3123016b 00000000
    00 00 0000 02000000 00000000 01000000`,
});

const eth0 = { index: 3, name: 'eth0' } as Link;

test('setLinkMtu() as `ip link set eth0 mtu 1400`', matches, {
  send: (netlink) => setLinkMtu(netlink, eth0, 1400),
  headerBytes: 16,
  captured: `28000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00000000 00000000
    0800 0400 78050000`,
});

test('setLinkTxQueueLength() as `ip link set eth0 txqueuelen 500`', matches, {
  send: (netlink) => setLinkTxQueueLength(netlink, eth0, 500),
  headerBytes: 16,
  captured: `28000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00000000 00000000
    0800 0d00 f4010000`,
});

test('setLinkPromiscuous() as `ip link set eth0 promisc on`', matches, {
  send: (netlink) => setLinkPromiscuous(netlink, eth0, true),
  headerBytes: 16,
  captured: `20000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00010000 00010000`,
});

test('setLinkPromiscuous() as `ip link set eth0 promisc off`', matches, {
  send: (netlink) => setLinkPromiscuous(netlink, eth0, false),
  headerBytes: 16,
  captured: `20000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00000000 00010000`,
});

test('setLinkAllMulticast() as `ip link set eth0 allmulticast on`', matches, {
  send: (netlink) => setLinkAllMulticast(netlink, eth0, true),
  headerBytes: 16,
  captured: `20000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00020000 00020000`,
});

test('setLinkAllMulticast() as `ip link set eth0 allmulticast off`', matches, {
  send: (netlink) => setLinkAllMulticast(netlink, eth0, false),
  headerBytes: 16,
  captured: `20000000 1000 0500 142f016b 00000000
    00 00 0000 03000000 00000000 00020000`,
});

test(
  'replaceNeighbour() as `ip neigh replace 10.1.0.9 lladdr … dev veth0 nud reachable`',
  matches,
  {
    send: (netlink) =>
      replaceNeighbour(netlink, veth0, Address.parse('10.1.0.9'), parseMac('02:00:00:00:00:09')),
    headerBytes: 12,
    captured: `30000000 1c00 0505 3908016b 00000000
    02 00 0000 02000000 0200 00 00
    0800 0100 0a010009
    0a00 0200 020000000009 0000`,
  },
);

const v0 = { index: 4, name: 'v0' } as Link;
// IFLA_AF_SPEC and IFLA_PROTINFO hold attributes.
const NESTED = { '26': 0, '12': 0 };

test('addPortVlans() as `bridge vlan add vid 100 dev v0 pvid untagged master`', matches, {
  send: (netlink) => addPortVlans(netlink, v0, [{ id: 100, pvid: true, untagged: true }]),
  headerBytes: 16,
  nested: NESTED,
  captured: `34000000 1300 0500 ec1b016b 00000000
    07 00 0000 04000000 00000000 00000000
    1400 1a00
      0600 0000 0100 0000
      0800 0200 0600 6400`,
});

test('deletePortVlans() as `bridge vlan del vid 1 dev v0 master`', matches, {
  send: (netlink) => deletePortVlans(netlink, v0, [{ id: 1, pvid: false, untagged: false }]),
  headerBytes: 16,
  nested: NESTED,
  captured: `34000000 1100 0500 ec1b016b 00000000
    07 00 0000 04000000 00000000 00000000
    1400 1a00
      0600 0000 0100 0000
      0800 0200 0000 0100`,
});

test('setPortOptions() as `bridge link set dev v0 hairpin on`', matches, {
  send: (netlink) => setPortOptions(netlink, v0, { hairpin: true, isolated: false }),
  headerBytes: 16,
  nested: NESTED,
  captured: `2c000000 1300 0500 ec1b016b 00000000
    07 00 0000 04000000 00000000 00000000
    0c00 0c80 0500 0400 01 000000`,
});

/** A link as a list of VLANs has it. */
const link = (index: string, vlans: string) => ({
  type: 16,
  flags: 2,
  body: hex(`07 00 0100 ${index} 00000000 00000000 ${vlans}`),
});

test('listPortVlans() writes ranges out and leaves other ports alone', (t) => {
  // Put together from linux/if_bridge.h: VLAN 1 (pvid, untagged), then 10 to 12 as the begin and the end of a range.
  const { netlink } = fakeNetlink(() => [
    link('03000000', '0c00 1a00 0800 0200 0600 6300'),
    link('04000000', '1c00 1a00 0800 0200 0600 0100 0800 0200 0800 0a00 0800 0200 1000 0c00'),
    done(),
  ]);
  t.deepEqual(listPortVlans(netlink, v0), [
    { id: 1, pvid: true, untagged: true },
    ...[10, 11, 12].map((id) => ({ id, pvid: false, untagged: false })),
  ]);
});
