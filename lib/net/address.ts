/** IP addresses of interfaces (linux/if_addr.h). */
import type { Prefix } from '#lib/addr/prefix.ts';
import {
  addressFrom,
  prefixFrom,
  attr,
  Attributes,
  encodeAttributes,
  viewOf,
} from './attribute.ts';
import type { Link } from './link.ts';
import { type Message, NLM_F } from './message.ts';
import { absentAsUndefined, type Netlink } from './netlink.ts';
import { AF, AF_UNSPEC, familyOf, RTM } from './rtnl.ts';

/** linux/if_addr.h */
const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, FLAGS: 8 } as const;
const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFAMSG_BYTES = 8;

/** linux/rtnetlink.h: how far an address is valid. */
const RT_SCOPE_UNIVERSE = 0;

/** An address that an interface has. */
export interface LinkAddress {
  readonly index: number;
  /** IPv4: the interface's name, with a suffix if whoever added it gave one. */
  readonly label: string | undefined;
  readonly prefix: Prefix;
  /** Valid everywhere, not only on the link or the host. */
  readonly isGlobal: boolean;
  /** IPv6: duplicate address detection is not over yet. */
  readonly isTentative: boolean;
  /** IPv6: somebody else on the link has it. */
  readonly isDuplicate: boolean;
}

/** struct ifaddrmsg and attributes. */
function encodeAddress(link: { index: number }, prefix: Prefix, noDad: boolean): Uint8Array {
  const header = Buffer.alloc(IFAMSG_BYTES);
  header.writeUInt8(AF[prefix.family], 0);
  header.writeUInt8(prefix.bits, 1);
  header.writeUInt32LE(link.index, 4);
  const bytes = prefix.address.toBytes();
  const attributes = [attr.bytes(IFA.LOCAL, bytes), attr.bytes(IFA.ADDRESS, bytes)];
  if (prefix.family === 4 && prefix.bits < 31) {
    attributes.push(attr.bytes(IFA.BROADCAST, prefix.last.toBytes()));
  }
  if (noDad && prefix.family === 6) attributes.push(attr.u32(IFA.FLAGS, IFA_F_NODAD));
  return Buffer.concat([header, encodeAttributes(attributes)]);
}

/** Reads an RTM_NEWADDR; undefined for families other than IP. @throws MalformedMessage */
export function decodeAddress({ body }: Message): LinkAddress | undefined {
  const view = viewOf(body, IFAMSG_BYTES);
  const attributes = Attributes.decode(body.subarray(IFAMSG_BYTES));
  const bytes = attributes.bytes(IFA.LOCAL) ?? attributes.bytes(IFA.ADDRESS);
  if (bytes === undefined || familyOf(view.getUint8(0)) === undefined) return undefined;
  const address = addressFrom(bytes);
  const flags = attributes.u32(IFA.FLAGS) ?? view.getUint8(2);
  return {
    index: view.getUint32(4, true),
    label: attributes.text(IFA.LABEL),
    prefix: prefixFrom(address, view.getUint8(1)),
    isGlobal: view.getUint8(3) === RT_SCOPE_UNIVERSE,
    isTentative: (flags & IFA_F_TENTATIVE) !== 0,
    isDuplicate: (flags & IFA_F_DADFAILED) !== 0,
  };
}

/**
 * Gives an interface an address; IPv4 ones with their broadcast address. `noDad` skips IPv6's
 * duplicate address detection. As `ip addr add PREFIX dev DEV [nodad]`. @throws NetlinkError,
 * EEXIST if it has it
 */
export function addAddress(
  rtnl: Netlink,
  link: Link,
  prefix: Prefix,
  { noDad }: { noDad: boolean },
): void {
  rtnl.request({
    op: `add address ${prefix} dev ${link.name}`,
    type: RTM.NEWADDR,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    body: encodeAddress(link, prefix, noDad),
  });
}

/**
 * Takes an address from an interface; absence is accepted. As `ip addr del`. @throws NetlinkError
 */
export function deleteAddress(rtnl: Netlink, link: Link, prefix: Prefix): void {
  const request = {
    op: `delete address ${prefix} dev ${link.name}`,
    type: RTM.DELADDR,
    body: encodeAddress(link, prefix, false),
  };
  absentAsUndefined(() => rtnl.request(request), ['EADDRNOTAVAIL', 'ENODEV']);
}

/**
 * The addresses of an interface; none if it is gone. As `ip addr show dev DEV`.
 * @throws NetlinkError
 */
export function listAddresses(rtnl: Netlink, { index }: { readonly index: number }): LinkAddress[] {
  // Kernels before 4.20 do not filter by interface.
  const addresses = absentAsUndefined(() => dumpAddresses(rtnl, AF_UNSPEC, index)) ?? [];
  return addresses.filter((address) => address.index === index);
}

/**
 * Which of these addresses an interface does not have, with this very prefix length.
 * @throws NetlinkError
 */
export function missingAddresses(
  rtnl: Netlink,
  link: { readonly index: number },
  wanted: readonly Prefix[],
): Prefix[] {
  const present = listAddresses(rtnl, link);
  return wanted.filter((one) => !present.some(({ prefix }) => prefix.equals(one)));
}

/**
 * The IPv4 addresses of all interfaces. They are few: pods' ports on the host have none. As `ip -4
 * addr show`.
 */
export const listIpv4Addresses = (rtnl: Netlink): LinkAddress[] => dumpAddresses(rtnl, AF[4], 0);

function dumpAddresses(rtnl: Netlink, family: number, index: number): LinkAddress[] {
  const header = Buffer.alloc(IFAMSG_BYTES);
  header.writeUInt8(family, 0);
  header.writeUInt32LE(index, 4);
  const messages = rtnl.dump({ op: 'show addresses', type: RTM.GETADDR, body: header });
  return messages.map(decodeAddress).filter((address) => address !== undefined);
}
