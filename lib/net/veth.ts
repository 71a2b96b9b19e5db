/**
 * veth pairs (linux/veth.h): names and addresses of their ends, and finding one end by the other.
 * Made by new-link.ts.
 */
import { type Mac, macFromBytes } from '#lib/addr/mac.ts';
import { random } from '#lib/sys/digest.ts';
import { getLink, type Link } from './link.ts';
import type { Netlink } from './netlink.ts';

/** The kind of both ends. */
export const VETH = 'veth';

/** A random unicast address of the locally administered block (IEEE 802-2014 §8.4). */
export function randomMac(): Mac {
  const bytes = random(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}

/** "veth" and eight random digits. */
export const randomVethName = (): string => `veth${Buffer.from(random(4)).toString('hex')}`;

/** Index of the other end, in whatever namespace it is; undefined for what is no end of a pair. */
export const peerIndex = ({ kind, lower }: Link): number | undefined =>
  kind === VETH ? lower : undefined;

/**
 * The other end, if it is in the socket's namespace, and leads back: indexes are per namespace.
 * @throws NetlinkError
 */
export function getPeer(rtnl: Netlink, link: Link): Link | undefined {
  const index = peerIndex(link);
  const peer = index === undefined ? undefined : getLink(rtnl, index);
  return peer !== undefined && peerIndex(peer) === link.index ? peer : undefined;
}
