/**
 * Network interfaces (linux/if_link.h): reading, changing and deleting them. new-link.ts makes
 * them.
 */
import { type Mac, macFromBytes, macToBytes } from '#lib/addr/mac.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { attr, type Attribute, Attributes, encodeAttributes, viewOf } from './attribute.ts';
import { absentAsUndefined, type Netlink } from './netlink.ts';
import type { Message } from './message.ts';
import { AF_BRIDGE, AF_UNSPEC, RTM } from './rtnl.ts';

/** linux/if_link.h */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  PROTINFO: 12,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  NET_NS_FD: 28,
  AF_SPEC: 26,
  EXT_MASK: 29,
  PROMISCUITY: 30,
  LINK_NETNSID: 37,
} as const;

/** linux/if_link.h, within IFLA_LINKINFO */
export const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;

/** linux/if.h */
export const IFF = { UP: 0x1, PROMISC: 0x100, ALLMULTI: 0x200 } as const;

/** linux/if.h: operational states (RFC 2863), in the words of `ip link`. */
const OPER_STATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'];

/** The longest interface name: IFNAMSIZ less the zero byte. */
export const IFNAME_BYTES = 15;

/** An interface as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Undefined for interfaces without hardware addresses. */
  readonly mac: Mac | undefined;
  readonly mtuBytes: number;
  /** How many packets may wait to be sent. */
  readonly txQueueLength: number;
  /** Text that somebody gave it for people to read. */
  readonly alias: string | undefined;
  /** IFF_* bits. */
  readonly flags: number;
  readonly operState: string;
  /** "bridge", "veth", "vxlan" …; undefined for hardware. */
  readonly kind: string | undefined;
  /** Index of the bridge or bond it is a port of. */
  readonly master: number | undefined;
  /**
   * IFLA_LINK: index of the interface below, for a vlan or macvlan its parent, for a veth its other
   * end; in whatever namespace that is.
   */
  readonly lower: number | undefined;
  /** How many users want it promiscuous. */
  readonly promiscuity: number;
  /** The kind's own attributes. */
  readonly data: Attributes;
  /** Attributes of the port, where it is a port. */
  readonly portData: Attributes;
}

const IFINFOMSG_BYTES = 16;

/** struct ifinfomsg and attributes. */
export function encodeLink(
  header: { family?: number; index?: number; flags?: number; change?: number },
  attributes: readonly Attribute[],
): Uint8Array {
  const bytes = Buffer.alloc(IFINFOMSG_BYTES);
  bytes.writeUInt8(header.family ?? AF_UNSPEC, 0);
  bytes.writeInt32LE(header.index ?? 0, 4);
  bytes.writeUInt32LE(header.flags ?? 0, 8);
  bytes.writeUInt32LE(header.change ?? 0, 12);
  return Buffer.concat([bytes, encodeAttributes(attributes)]);
}

/** Reads an RTM_NEWLINK. @throws MalformedMessage */
export function decodeLink({ body }: Message): Link {
  const view = viewOf(body, IFINFOMSG_BYTES);
  const attributes = Attributes.decode(body.subarray(IFINFOMSG_BYTES));
  const info = attributes.nested(IFLA.LINKINFO);
  const mac = attributes.bytes(IFLA.ADDRESS);
  return {
    index: view.getInt32(4, true),
    flags: view.getUint32(8, true),
    name: attributes.text(IFLA.IFNAME) ?? '',
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
    mtuBytes: attributes.u32(IFLA.MTU) ?? 0,
    txQueueLength: attributes.u32(IFLA.TXQLEN) ?? 0,
    alias: attributes.text(IFLA.IFALIAS),
    operState: OPER_STATES[attributes.u8(IFLA.OPERSTATE) ?? 0] ?? 'unknown',
    kind: info.text(IFLA_INFO.KIND),
    master: attributes.u32(IFLA.MASTER),
    lower: attributes.u32(IFLA.LINK),
    promiscuity: attributes.u32(IFLA.PROMISCUITY) ?? 0,
    data: info.nested(IFLA_INFO.DATA),
    portData: info.nested(IFLA_INFO.SLAVE_DATA),
  };
}

/** Whether an interface is set up (which is not yet: works). */
export const isUp = ({ flags }: Link): boolean => (flags & IFF.UP) !== 0;

/**
 * The interface of this name or index, or undefined. As `ip link show dev NAME`.
 * @throws NetlinkError
 */
export function getLink(rtnl: Netlink, which: string | number): Link | undefined {
  const body =
    typeof which === 'number'
      ? encodeLink({ index: which }, [])
      : encodeLink({}, [attr.text(IFLA.IFNAME, which)]);
  const op = `show link ${which}`;
  const [message] = absentAsUndefined(() => rtnl.request({ op, type: RTM.GETLINK, body })) ?? [];
  return message && decodeLink(message);
}

/**
 * All interfaces, or the ports of one bridge, none if it is gone. As `ip link show [master
 * BRIDGE]`. @throws NetlinkError
 */
export function listLinks(rtnl: Netlink, master?: Link): Link[] {
  const filter = master === undefined ? [] : [attr.u32(IFLA.MASTER, master.index)];
  const request = { op: 'show links', type: RTM.GETLINK, body: encodeLink({}, filter) };
  const links = (absentAsUndefined(() => rtnl.dump(request)) ?? []).map(decodeLink);
  return master === undefined ? links : links.filter((link) => link.master === master.index);
}

function changeLink(
  rtnl: Netlink,
  { name, index }: Link,
  change: { what: string; flags?: number; change?: number; attributes?: readonly Attribute[] },
): void {
  const { what, attributes = [], ...header } = change;
  rtnl.request({
    op: `set link ${name} ${what}`,
    type: RTM.NEWLINK,
    body: encodeLink({ ...header, index }, attributes),
  });
}

/** As `ip link set DEV up`. @throws NetlinkError */
export const setLinkUp = (rtnl: Netlink, link: Link): void =>
  changeLink(rtnl, link, { what: 'up', flags: IFF.UP, change: IFF.UP });

/** As `ip link set DEV down`. @throws NetlinkError */
export const setLinkDown = (rtnl: Netlink, link: Link): void =>
  changeLink(rtnl, link, { what: 'down', change: IFF.UP });

/** As `ip link set DEV promisc on|off`. @throws NetlinkError */
export const setLinkPromiscuous = (rtnl: Netlink, link: Link, on: boolean): void =>
  setLinkFlag(rtnl, link, { what: 'promisc', flag: IFF.PROMISC, on });

/** As `ip link set DEV allmulticast on|off`. @throws NetlinkError */
export const setLinkAllMulticast = (rtnl: Netlink, link: Link, on: boolean): void =>
  setLinkFlag(rtnl, link, { what: 'allmulticast', flag: IFF.ALLMULTI, on });

function setLinkFlag(
  rtnl: Netlink,
  link: Link,
  { what, flag, on }: { what: string; flag: number; on: boolean },
): void {
  const flags = on ? flag : 0;
  changeLink(rtnl, link, { what: `${what} ${on ? 'on' : 'off'}`, flags, change: flag });
}

/** As `ip link set DEV mtu BYTES`. @throws NetlinkError */
export const setLinkMtu = (rtnl: Netlink, link: Link, mtuBytes: number): void =>
  changeLink(rtnl, link, { what: `mtu ${mtuBytes}`, attributes: [attr.u32(IFLA.MTU, mtuBytes)] });

/** As `ip link set DEV txqueuelen PACKETS`. @throws NetlinkError */
export const setLinkTxQueueLength = (rtnl: Netlink, link: Link, packets: number): void =>
  changeLink(rtnl, link, {
    what: `txqueuelen ${packets}`,
    attributes: [attr.u32(IFLA.TXQLEN, packets)],
  });

/** As `ip link set DEV address MAC`. @throws NetlinkError */
export const setLinkMac = (rtnl: Netlink, link: Link, mac: Mac): void =>
  changeLink(rtnl, link, {
    what: `address ${mac}`,
    attributes: [attr.bytes(IFLA.ADDRESS, macToBytes(mac))],
  });

/** As `ip link set DEV alias TEXT`, 254 bytes at most. @throws NetlinkError */
export const setLinkAlias = (rtnl: Netlink, link: Link, alias: string): void =>
  changeLink(rtnl, link, {
    what: `alias "${alias}"`,
    attributes: [attr.text(IFLA.IFALIAS, alias)],
  });

/**
 * Gives an interface another name; most kernels want it down. As `ip link set DEV name NAME`.
 * @throws NetlinkError, EEXIST
 */
export const renameLink = (rtnl: Netlink, link: Link, name: string): void =>
  changeLink(rtnl, link, { what: `name ${name}`, attributes: [attr.text(IFLA.IFNAME, name)] });

/**
 * Moves an interface to another namespace, where it is down and may get another index. As `ip link
 * set DEV netns NS`.
 * @throws NetlinkError, EEXIST if its name is taken there
 */
export const moveLink = (rtnl: Netlink, link: Link, netns: Netns): void =>
  changeLink(rtnl, link, {
    what: `netns ${netns.path}`,
    attributes: [attr.u32(IFLA.NET_NS_FD, netns.fd)],
  });

/**
 * Makes an interface a port of a bridge or VRF, or with undefined of none. As `ip link set DEV
 * master|nomaster`. @throws NetlinkError
 */
export const setLinkMaster = (rtnl: Netlink, link: Link, master: Link | undefined): void =>
  changeLink(rtnl, link, {
    what: master === undefined ? 'nomaster' : `master ${master.name}`,
    attributes: [attr.u32(IFLA.MASTER, master?.index ?? 0)],
  });

/**
 * Changes how a bridge treats a port (IFLA_PROTINFO). As `bridge link set`. @throws NetlinkError
 */
export function setBridgePort(rtnl: Netlink, link: Link, options: readonly Attribute[]): void {
  rtnl.request({
    op: `set bridge port ${link.name}`,
    type: RTM.SETLINK,
    body: encodeLink({ family: AF_BRIDGE, index: link.index }, [
      attr.nested(IFLA.PROTINFO, options),
    ]),
  });
}

/**
 * Deletes an interface; absence is accepted. As `ip link del`. @returns whether it was there.
 * @throws NetlinkError
 */
export function deleteLink(rtnl: Netlink, which: string | number): boolean {
  const body =
    typeof which === 'number'
      ? encodeLink({ index: which }, [])
      : encodeLink({}, [attr.text(IFLA.IFNAME, which)]);
  const request = { op: `delete link ${which}`, type: RTM.DELLINK, body };
  return absentAsUndefined(() => rtnl.request(request)) !== undefined;
}
