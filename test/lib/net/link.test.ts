/** Changing interfaces, against what `ip` of iproute2 6.1 sends on Linux 6.18: the same headers and attributes. */
import test from 'ava';
import { type Link, moveLink, renameLink, setLinkMaster } from '#lib/net/link.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { matches } from './captured.ts';

const P0 = { index: 3, name: 'p0' } as Link;

test('renameLink() as `ip link set p0 name p9`', matches, {
  send: (netlink) => renameLink(netlink, P0, 'p9'),
  headerBytes: 16,
  captured: `28000000 1000 0500 71dc0e6b 00000000
    00 00 0000 03000000 00000000 00000000
    0700 0300 703900 00`,
});

test('moveLink() as `ip link set p0 netns capx`', matches, {
  send: (netlink) => moveLink(netlink, P0, { fd: 4, path: '/run/netns/capx' } as Netns),
  headerBytes: 16,
  captured: `28000000 1000 0500 71dc0e6b 00000000
    00 00 0000 03000000 00000000 00000000
    0800 1c00 04000000`,
});

test('setLinkMaster() as `ip link set p0 master br9`', matches, {
  send: (netlink) => setLinkMaster(netlink, P0, { index: 4, name: 'br9' } as Link),
  headerBytes: 16,
  captured: `28000000 1000 0500 71dc0e6b 00000000
    00 00 0000 03000000 00000000 00000000
    0800 0a00 04000000`,
});

test('setLinkMaster() of none as `ip link set p0 nomaster`', matches, {
  send: (netlink) => setLinkMaster(netlink, P0, undefined),
  headerBytes: 16,
  captured: `28000000 1000 0500 71dc0e6b 00000000
    00 00 0000 03000000 00000000 00000000
    0800 0a00 00000000`,
});
