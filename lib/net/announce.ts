/**
 * Telling the link that an address has a (new) hardware address: gratuitous ARP (RFC 5227 §3, both forms, since hosts
 * differ in which they listen to) and unsolicited neighbour advertisements (RFC 4861 §7.2.6).
 */
import { Address } from '#lib/addr/address.ts';
import { type Mac, macToBytes } from '#lib/addr/mac.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { AF_PACKET, SOCK_RAW, Socket } from '#lib/sys/socket.ts';
import type { Link } from './link.ts';

/** linux/if_ether.h */
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const BROADCAST = Buffer.alloc(6, 0xff);

/** linux/if_arp.h */
const ARPHRD_ETHER = 1;
const ETH_P_IP = 0x0800;
const ARPOP = { REQUEST: 1, REPLY: 2 } as const;

/** RFC 4861 §4.4: an advertisement that overrides what the hearer has cached. */
const ND_NEIGHBOR_ADVERT = 136;
const OVERRIDE = 0x20;
const ND_OPT_TARGET_LINKADDR = 2;
const IPPROTO_ICMPV6 = 58;
const ALL_NODES = Address.parse('ff02::1');
const ALL_NODES_MAC = Buffer.from('333300000001', 'hex');

/** An Ethernet frame with gratuitous ARP for an IPv4 address. */
export function encodeGratuitousArp(
  mac: Mac,
  address: Address,
  form: keyof typeof ARPOP,
): Uint8Array {
  const arp = Buffer.alloc(8);
  arp.writeUInt16BE(ARPHRD_ETHER, 0);
  arp.writeUInt16BE(ETH_P_IP, 2);
  arp.writeUInt8(6, 4);
  arp.writeUInt8(4, 5);
  arp.writeUInt16BE(ARPOP[form], 6);
  const sender = macToBytes(mac);
  const ip = address.toBytes();
  return Buffer.concat([ethernet(BROADCAST, sender, ETH_P_ARP), arp, sender, ip, BROADCAST, ip]);
}

/** An Ethernet frame with an unsolicited neighbour advertisement for an IPv6 address. */
export function encodeNeighbourAdvertisement(mac: Mac, address: Address): Uint8Array {
  const sender = macToBytes(mac);
  const target = address.toBytes();
  const option = Buffer.from([ND_OPT_TARGET_LINKADDR, 1, ...sender]);
  const icmp = Buffer.concat([
    Buffer.from([ND_NEIGHBOR_ADVERT, 0, 0, 0, OVERRIDE, 0, 0, 0]),
    target,
    option,
  ]);
  const destination = ALL_NODES.toBytes();
  const length = Buffer.alloc(4);
  length.writeUInt32BE(icmp.length);
  const pseudo = [target, destination, length, Buffer.from([0, 0, 0, IPPROTO_ICMPV6])];
  icmp.writeUInt16BE(checksum(Buffer.concat([...pseudo, icmp])), 2);
  const ip = Buffer.alloc(8);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(icmp.length, 4);
  ip.writeUInt8(IPPROTO_ICMPV6, 6);
  ip.writeUInt8(255, 7);
  return Buffer.concat([
    ethernet(ALL_NODES_MAC, sender, ETH_P_IPV6),
    ip,
    target,
    destination,
    icmp,
  ]);
}

function ethernet(to: Uint8Array, from: Uint8Array, protocol: number): Uint8Array {
  return Buffer.concat([to, from, bytes16(protocol)]);
}

function bytes16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** struct sockaddr_ll: where a raw frame leaves. */
function linkLayerAddress(link: Link): Uint8Array {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeInt32LE(link.index, 4);
  bytes.writeUInt8(6, 11);
  return bytes;
}

/**
 * Announces addresses out of an interface, which must be up, as its own. `netns` is the namespace the interface is in.
 * @throws SysError, ENETDOWN if it is down
 */
export function announceAddresses(netns: Netns, link: Link, addresses: readonly Address[]): void {
  const { mac } = link;
  if (mac === undefined || addresses.length === 0) return;
  using socket = within(netns, () => new Socket(AF_PACKET, SOCK_RAW, 0));
  for (const address of addresses) {
    const frames =
      address.family === 4
        ? [encodeGratuitousArp(mac, address, 'REQUEST'), encodeGratuitousArp(mac, address, 'REPLY')]
        : [encodeNeighbourAdvertisement(mac, address)];
    for (const frame of frames) socket.send(frame, linkLayerAddress(link));
  }
}
