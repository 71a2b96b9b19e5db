/** Routes (linux/rtnetlink.h). */
import { Address, type Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { recover } from '#lib/sys/recover.ts';
import {
  addressFrom,
  prefixFrom,
  attr,
  type Attribute,
  Attributes,
  encodeAttributes,
  optional,
  viewOf,
} from './attribute.ts';
import type { Link } from './link.ts';
import { type Message, NLM_F } from './message.ts';
import { absentAsUndefined, type Netlink, netlinkError } from './netlink.ts';
import { AF, familyOf, RTM } from './rtnl.ts';

/** linux/rtnetlink.h */
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15 } as const;
const RTAX = { MTU: 2, ADVMSS: 8 } as const;
const RTMSG_BYTES = 12;
const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;
const RTPROT_UNSPEC = 0;

/** linux/rtnetlink.h: who made a route. Programs that do not say, such as `ip`, are "boot". */
const RTPROT_BOOT = 3;

/** linux/rtnetlink.h: the gateway is on the link, whatever the addresses say. */
const RTNH_F_ONLINK = 4;

const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNSPEC = 0;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/** Table numbers that fit the header. */
const TABLE_MAX = 255;

/** A route through an interface. The kernel chooses what is absent. */
export interface Route {
  /** The network, masked; 0.0.0.0/0 or ::/0 is the default route. */
  readonly dst: Prefix;
  readonly gw?: Address | undefined;
  /** Index of the interface it leaves by. */
  readonly oif: number;
  /** The source of packets that have none yet: an address of this host. */
  readonly src?: Address | undefined;
  readonly mtuBytes?: number | undefined;
  readonly advmssBytes?: number | undefined;
  readonly priority?: number | undefined;
  /** 254, the main table, if absent. */
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
  /** Who made it, a number of linux/rtnetlink.h or /etc/iproute2/rt_protos; 3 (boot) if absent. */
  readonly protocol?: number | undefined;
  /** The gateway is on the link even if no address of the interface says so. */
  readonly isOnLink?: boolean | undefined;
}

/** struct rtmsg. */
function encodeHeader(
  dst: Prefix,
  fields: { table: number; protocol: number; scope: number; type: number; flags?: number },
): Buffer {
  const header = Buffer.alloc(RTMSG_BYTES);
  header.writeUInt8(AF[dst.family], 0);
  header.writeUInt8(dst.bits, 1);
  header.writeUInt8(fields.table, 4);
  header.writeUInt8(fields.protocol, 5);
  header.writeUInt8(fields.scope, 6);
  header.writeUInt8(fields.type, 7);
  header.writeUInt32LE(fields.flags ?? 0, 8);
  return header;
}

/** Where to, and by which interface. */
const path = ({ dst, oif }: Pick<Route, 'dst' | 'oif'>): Attribute[] => [
  ...(dst.bits === 0 ? [] : [attr.bytes(RTA.DST, dst.first.toBytes())]),
  attr.u32(RTA.OIF, oif),
];

/** struct rtmsg and attributes. */
function encodeRoute(route: Route): Uint8Array {
  const table = route.table ?? RT_TABLE_MAIN;
  const header = encodeHeader(route.dst, {
    table: table > TABLE_MAX ? RT_TABLE_UNSPEC : table,
    protocol: route.protocol ?? RTPROT_BOOT,
    scope: route.scope ?? defaultScope(route),
    type: RTN_UNICAST,
    flags: route.isOnLink === true ? RTNH_F_ONLINK : 0,
  });
  const metrics = [
    ...optional(route.mtuBytes, (n) => attr.u32(RTAX.MTU, n)),
    ...optional(route.advmssBytes, (n) => attr.u32(RTAX.ADVMSS, n)),
  ];
  const attributes = [
    ...path(route),
    ...optional(route.gw, (gw) => attr.bytes(RTA.GATEWAY, gw.toBytes())),
    ...optional(route.src, (src) => attr.bytes(RTA.PREFSRC, src.toBytes())),
    ...optional(route.priority, (n) => attr.u32(RTA.PRIORITY, n)),
    ...(metrics.length === 0 ? [] : [attr.nested(RTA.METRICS, metrics)]),
    ...(table > TABLE_MAX ? [attr.u32(RTA.TABLE, table)] : []),
  ];
  return Buffer.concat([header, encodeAttributes(attributes)]);
}

/**
 * An IPv4 route without gateway reaches its network on the link itself; IPv6 has no scopes of
 * routes.
 */
function defaultScope({ dst, gw }: Route): number {
  return dst.family === 4 && gw === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

/**
 * Reads an RTM_NEWROUTE; undefined for one that is no unicast IP route through one interface.
 * @throws MalformedMessage
 */
export function decodeRoute({ body }: Message): Route | undefined {
  const view = viewOf(body, RTMSG_BYTES);
  const family = familyOf(view.getUint8(0));
  const attributes = Attributes.decode(body.subarray(RTMSG_BYTES));
  const oif = attributes.u32(RTA.OIF);
  if (family === undefined || oif === undefined || view.getUint8(7) !== RTN_UNICAST)
    return undefined;
  const dst = attributes.bytes(RTA.DST);
  const gw = attributes.bytes(RTA.GATEWAY);
  const src = attributes.bytes(RTA.PREFSRC);
  const metrics = attributes.nested(RTA.METRICS);
  return {
    dst: prefixFrom(dst ? addressFrom(dst) : Address.of(family, 0n), view.getUint8(1)),
    gw: gw && addressFrom(gw),
    oif,
    src: src && addressFrom(src),
    priority: attributes.u32(RTA.PRIORITY),
    mtuBytes: metrics.u32(RTAX.MTU),
    advmssBytes: metrics.u32(RTAX.ADVMSS),
    table: attributes.u32(RTA.TABLE) ?? view.getUint8(4),
    scope: view.getUint8(6),
    protocol: view.getUint8(5),
    isOnLink: (view.getUint32(8, true) & RTNH_F_ONLINK) !== 0,
  };
}

/**
 * Adds a route beside others to the same network. As `ip route append`. @throws NetlinkError,
 * EEXIST if it is there
 */
export function addRoute(rtnl: Netlink, route: Route): void {
  rtnl.request({
    op: `add route ${route.dst}${route.gw === undefined ? '' : ` via ${route.gw}`}`,
    type: RTM.NEWROUTE,
    flags: NLM_F.CREATE | NLM_F.APPEND,
    body: encodeRoute(route),
  });
}

/**
 * Makes this the route to its network, in place of any other. As `ip route replace`.
 * @throws NetlinkError
 */
export function replaceRoute(rtnl: Netlink, route: Route): void {
  rtnl.request({
    op: `replace route ${route.dst}`,
    type: RTM.NEWROUTE,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    body: encodeRoute(route),
  });
}

/**
 * Deletes the main table's first route to a network by an interface; absence is accepted. As `ip
 * route del DST dev DEV`. @throws NetlinkError
 */
export function deleteRoute(rtnl: Netlink, route: Pick<Route, 'dst' | 'oif'>): void {
  const header = encodeHeader(route.dst, {
    table: RT_TABLE_MAIN,
    protocol: RTPROT_UNSPEC,
    scope: RT_SCOPE_NOWHERE,
    type: RTN_UNSPEC,
  });
  const body = Buffer.concat([header, encodeAttributes(path(route))]);
  const request = { op: `delete route ${route.dst}`, type: RTM.DELROUTE, body };
  absentAsUndefined(() => rtnl.request(request), ['ESRCH', 'ENODEV']);
}

/**
 * The unicast routes of a family in every table; none by an interface that is gone. As `ip route
 * show table all type unicast`. @throws NetlinkError
 */
export function listRoutes(rtnl: Netlink, family: Family, link?: Link): Route[] {
  const header = Buffer.alloc(RTMSG_BYTES);
  header.writeUInt8(AF[family], 0);
  const body =
    link === undefined
      ? header
      : Buffer.concat([header, encodeAttributes([attr.u32(RTA.OIF, link.index)])]);
  const request = { op: 'show routes', type: RTM.GETROUTE, body };
  const messages = absentAsUndefined(() => rtnl.dump(request)) ?? [];
  const routes = messages.map(decodeRoute).filter((route) => route !== undefined);
  return link === undefined ? routes : routes.filter(({ oif }) => oif === link.index);
}

/** How the host reaches an address. */
export interface Path {
  /** Index of the interface that it leaves by. */
  readonly oif: number | undefined;
  /** The address is the host's own. */
  readonly isLocal: boolean;
}

/**
 * The kernel's answers if no route leads to an address, or a route of type "unreachable" or
 * "prohibit".
 */
const UNREACHABLE = ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES'];

/**
 * How the host reaches an address; undefined if it does not. As `ip route get ADDRESS`.
 * @throws NetlinkError
 */
export function findPath(rtnl: Netlink, address: Address): Path | undefined {
  const header = Buffer.alloc(RTMSG_BYTES);
  header.writeUInt8(AF[address.family], 0);
  header.writeUInt8(Prefix.host(address).bits, 1);
  const body = Buffer.concat([header, encodeAttributes([attr.bytes(RTA.DST, address.toBytes())])]);
  const request = { op: `get route ${address}`, type: RTM.GETROUTE, body };
  const [reply] = recover(() => rtnl.request(request), netlinkError(...UNREACHABLE)) ?? [];
  if (reply === undefined) return undefined;
  const oif = Attributes.decode(reply.body.subarray(RTMSG_BYTES)).u32(RTA.OIF);
  return { oif, isLocal: viewOf(reply.body, RTMSG_BYTES).getUint8(7) === RTN_LOCAL };
}
