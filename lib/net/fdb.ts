/**
 * Forwarding entries of a tunnel's interface (linux/neighbour.h, family AF_BRIDGE): at which
 * address of the underlay a hardware address is. A MAC has several entries if frames to it go to
 * several addresses: that of zeros stands for all that is unknown.
 */
import type { Address } from '#lib/addr/address.ts';
import { type Mac, macFromBytes, macToBytes } from '#lib/addr/mac.ts';
import {
  addressFrom,
  attr,
  type Attribute,
  Attributes,
  encodeAttributes,
  viewOf,
} from './attribute.ts';
import type { Link } from './link.ts';
import { type Message, NLM_F } from './message.ts';
import { absentAsUndefined, type Netlink } from './netlink.ts';
import { AF_BRIDGE, RTM } from './rtnl.ts';

/** linux/neighbour.h */
const NDA = { DST: 1, LLADDR: 2 } as const;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 0x02;
const NDMSG_BYTES = 12;
const MAC_BYTES = 6;

/** Frames to a hardware address go to an address of the underlay. */
interface Destination {
  readonly mac: Mac;
  readonly destination: Address;
}

/** An entry as listed. */
export interface FdbEntry extends Destination {
  /** Entries that were learnt, not set, go away by themselves. */
  readonly isPermanent: boolean;
}

/** State and flags of an entry that somebody sets, in the tunnel's own table. */
const SET = { state: NUD_PERMANENT | NUD_NOARP, flags: NTF_SELF };

/** struct ndmsg and attributes. */
function encodeEntry(
  { index }: Link,
  { state, flags }: { state: number; flags: number },
  attributes: readonly Attribute[],
): Uint8Array {
  const header = Buffer.alloc(NDMSG_BYTES);
  header.writeUInt8(AF_BRIDGE, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(state, 8);
  header.writeUInt8(flags, 10);
  return Buffer.concat([header, encodeAttributes(attributes)]);
}

const attributesOf = ({ mac, destination }: Destination): Attribute[] => [
  attr.bytes(NDA.LLADDR, macToBytes(mac)),
  attr.bytes(NDA.DST, destination.toBytes()),
];

/**
 * Sets an entry in place of any other of its hardware address. As `bridge fdb replace MAC dev DEV
 * dst ADDRESS self permanent`. @throws NetlinkError
 */
export function replaceFdbEntry(rtnl: Netlink, link: Link, entry: Destination): void {
  rtnl.request({
    op: `replace fdb entry ${entry.mac} dev ${link.name}`,
    type: RTM.NEWNEIGH,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    body: encodeEntry(link, SET, attributesOf(entry)),
  });
}

/**
 * Deletes an entry; absence is accepted. As `bridge fdb del MAC dev DEV dst ADDRESS self`.
 * @throws NetlinkError
 */
export function deleteFdbEntry(rtnl: Netlink, link: Link, entry: Destination): void {
  absentAsUndefined(() =>
    rtnl.request({
      op: `delete fdb entry ${entry.mac} dev ${link.name}`,
      type: RTM.DELNEIGH,
      body: encodeEntry(link, SET, attributesOf(entry)),
    }),
  );
}

/**
 * Reads an RTM_NEWNEIGH of AF_BRIDGE; undefined for one that is no tunnel's.
 * @throws MalformedMessage
 */
function decodeEntry({ body }: Message, index: number): FdbEntry | undefined {
  const view = viewOf(body, NDMSG_BYTES);
  const attributes = Attributes.decode(body.subarray(NDMSG_BYTES));
  const [mac, destination] = [attributes.bytes(NDA.LLADDR), attributes.bytes(NDA.DST)];
  if (view.getUint8(0) !== AF_BRIDGE || view.getInt32(4, true) !== index) return undefined;
  if (mac?.length !== MAC_BYTES || destination === undefined) return undefined;
  return {
    mac: macFromBytes(mac),
    destination: addressFrom(destination),
    isPermanent: (view.getUint16(8, true) & NUD_PERMANENT) !== 0,
  };
}

/**
 * The entries of an interface that lead to the underlay; none if it is gone. As `bridge fdb show
 * dev DEV`. @throws NetlinkError
 */
export function listFdb(rtnl: Netlink, link: Link): FdbEntry[] {
  const body = encodeEntry(link, { state: 0, flags: 0 }, []);
  const request = { op: `show fdb of ${link.name}`, type: RTM.GETNEIGH, body };
  const messages = absentAsUndefined(() => rtnl.dump(request)) ?? [];
  return messages
    .map((message) => decodeEntry(message, link.index))
    .filter((entry) => entry !== undefined);
}
