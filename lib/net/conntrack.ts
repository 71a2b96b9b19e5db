/**
 * Connections that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h): listing and
 * forgetting them.
 */
import type { Address, Family } from '#lib/addr/address.ts';
import { addressFrom, attr, type Attribute, Attributes, encodeAttributes } from './attribute.ts';
import type { Message } from './message.ts';
import {
  absentAsUndefined,
  type Netlink,
  NETLINK_NETFILTER,
  openNetlink,
  type Request,
} from './netlink.ts';
import { AF } from './rtnl.ts';

/** linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h */
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT = { GET: 1, DELETE: 2 } as const;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, ZONE: 18, FILTER: 25 } as const;
const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
const CTA_IP = { 4: { SRC: 1, DST: 2 }, 6: { SRC: 3, DST: 4 } } as const;
const CTA_PROTO = { NUM: 1, DST_PORT: 3 } as const;
const CTA_FILTER_ORIG_FLAGS = 1;

/** The attributes that identify a connection. */
const KEYS: ReadonlySet<number> = new Set([CTA.TUPLE_ORIG, CTA.ZONE]);

/** net/netfilter/nf_internals.h: which parts of a tuple a filter compares. */
const CTA_FILTER_F_PROTO_NUM = 1 << 3;
const NFGENMSG_BYTES = 4;

/** One direction of a connection. */
interface Flow {
  readonly source: Address;
  readonly destination: Address;
  readonly destinationPort: number;
}

/**
 * A connection as it was begun, and as its answers come: where they differ, addresses are
 * translated.
 */
export interface Connection {
  readonly family: Family;
  readonly original: Flow;
  readonly reply: Flow;
  /** The attributes that identify it. */
  readonly key: readonly Attribute[];
}

/** Opens the kernel's table of connections in this namespace. @throws SysError */
export const openConntrack = (): Netlink => openNetlink(NETLINK_NETFILTER);

function request(
  op: string,
  message: keyof typeof IPCTNL_MSG_CT,
  family: Family,
  attributes: readonly Attribute[],
): Request {
  return {
    op,
    type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT[message],
    body: Buffer.concat([Buffer.from([AF[family], 0, 0, 0]), encodeAttributes(attributes)]),
  };
}

/**
 * The connections of a transport protocol, by its number; kernels before 5.8 answer with all, and
 * we choose. As `conntrack -L -p PROTOCOL`. @throws NetlinkError
 */
export function listConnections(
  conntrack: Netlink,
  family: Family,
  protocol: number,
): Connection[] {
  const messages = conntrack.dump(
    request('list connections', 'GET', family, [
      attr.nested(CTA.TUPLE_ORIG, [
        attr.nested(CTA_TUPLE.PROTO, [attr.u8(CTA_PROTO.NUM, protocol)]),
      ]),
      attr.nested(CTA.FILTER, [attr.u32(CTA_FILTER_ORIG_FLAGS, CTA_FILTER_F_PROTO_NUM)]),
    ]),
  );
  return messages
    .map((message) => decodeConnection(message, family, protocol))
    .filter((connection) => connection !== undefined);
}

/**
 * Reads one connection; undefined for one of another protocol or family. @throws MalformedMessage
 */
function decodeConnection(
  { body }: Message,
  family: Family,
  protocol: number,
): Connection | undefined {
  const attributes = Attributes.decode(body.subarray(NFGENMSG_BYTES));
  const original = decodeFlow(attributes.nested(CTA.TUPLE_ORIG), family, protocol);
  const reply = decodeFlow(attributes.nested(CTA.TUPLE_REPLY), family, protocol);
  if (original === undefined || reply === undefined) return undefined;
  const key = attributes.list.filter(({ type }) => KEYS.has(type));
  return { family, original, reply, key };
}

function decodeFlow(tuple: Attributes, family: Family, protocol: number): Flow | undefined {
  const ip = tuple.nested(CTA_TUPLE.IP);
  const transport = tuple.nested(CTA_TUPLE.PROTO);
  const source = ip.bytes(CTA_IP[family].SRC);
  const destination = ip.bytes(CTA_IP[family].DST);
  const destinationPort = transport.be16(CTA_PROTO.DST_PORT);
  if (source === undefined || destination === undefined || destinationPort === undefined) {
    return undefined;
  }
  if (transport.u8(CTA_PROTO.NUM) !== protocol) return undefined;
  return {
    source: addressFrom(source),
    destination: addressFrom(destination),
    destinationPort,
  };
}

/**
 * Forgets a connection: its next packet begins a new one. Absence is accepted. As `conntrack -D`.
 * @throws NetlinkError
 */
export function deleteConnection(conntrack: Netlink, { family, key, original }: Connection): void {
  const op = `delete connection to ${original.destination} port ${original.destinationPort}`;
  absentAsUndefined(() => conntrack.request(request(op, 'DELETE', family, key)));
}
