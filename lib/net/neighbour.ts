/** Neighbour entries (linux/neighbour.h): which hardware address an IP address has on a link. */
import type { Address } from '#lib/addr/address.ts';
import { type Mac, macToBytes } from '#lib/addr/mac.ts';
import { attr, type Attribute, encodeAttributes } from './attribute.ts';
import type { Link } from './link.ts';
import { NLM_F } from './message.ts';
import { absentAsUndefined, type Netlink } from './netlink.ts';
import { AF, RTM } from './rtnl.ts';

/** linux/neighbour.h */
const NDA = { DST: 1, LLADDR: 2 } as const;
const NUD_REACHABLE = 0x02;
const NDMSG_BYTES = 12;

/** struct ndmsg and attributes. */
function encodeNeighbour(
  link: Link,
  address: Address,
  state: number,
  mac: Attribute[],
): Uint8Array {
  const header = Buffer.alloc(NDMSG_BYTES);
  header.writeUInt8(AF[address.family], 0);
  header.writeInt32LE(link.index, 4);
  header.writeUInt16LE(state, 8);
  const attributes = [attr.bytes(NDA.DST, address.toBytes()), ...mac];
  return Buffer.concat([header, encodeAttributes(attributes)]);
}

/**
 * Makes the entry of an address right, whatever it was. As `ip neigh replace … nud reachable`.
 * @throws NetlinkError
 */
export function replaceNeighbour(rtnl: Netlink, link: Link, address: Address, mac: Mac): void {
  rtnl.request({
    op: `replace neighbour ${address} dev ${link.name}`,
    type: RTM.NEWNEIGH,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    body: encodeNeighbour(link, address, NUD_REACHABLE, [attr.bytes(NDA.LLADDR, macToBytes(mac))]),
  });
}

/** Forgets the entry of an address; absence is accepted. As `ip neigh del`. @throws NetlinkError */
export function deleteNeighbour(rtnl: Netlink, link: Link, address: Address): void {
  absentAsUndefined(() =>
    rtnl.request({
      op: `delete neighbour ${address} dev ${link.name}`,
      type: RTM.DELNEIGH,
      body: encodeNeighbour(link, address, 0, []),
    }),
  );
}
