/**
 * The kernel's routing socket (linux/rtnetlink.h), and the constants that its message families
 * share.
 */
import type { Netns } from '#lib/sys/netns.ts';
import type { Family } from '#lib/addr/address.ts';
import { type Netlink, NETLINK_ROUTE, openNetlink } from './netlink.ts';

/** linux/rtnetlink.h: message types. */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTFILTER: 44,
  GETTFILTER: 46,
} as const;

/** linux/socket.h */
export const AF_UNSPEC = 0;
export const AF_BRIDGE = 7;

/** Address families as the kernel numbers them. */
export const AF = { 4: 2, 6: 10 } as const;

/** Our name of a kernel address family, if it is an IP one. */
export function familyOf(af: number): Family | undefined {
  return af === AF[4] ? 4 : af === AF[6] ? 6 : undefined;
}

/**
 * Opens a routing socket in a namespace, by default the program's own; it stays there. Needs
 * CAP_SYS_ADMIN for another.
 * @throws SysError
 */
export function openRtnl(netns?: Netns): Netlink {
  return openNetlink(NETLINK_ROUTE, netns);
}
