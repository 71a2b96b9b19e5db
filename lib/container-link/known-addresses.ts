/** A container's addresses, as far as DEL can learn them. */
import type { Prefix } from '#lib/addr/prefix.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import { ownAddresses } from '#lib/cni/prev-result.ts';
import { listAddresses } from '#lib/net/address.ts';
import { getLink } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';

/**
 * The container's addresses with their subnets, as ADD's result or the interface has them;
 * undefined: nobody knows, so all that there are are meant. `rtnl` is a socket in the container, if
 * that is still there. @throws NetlinkError
 */
export function knownAddresses(
  { prevResult, attachment }: AttachmentCall<unknown>,
  rtnl: Netlink | undefined,
): Prefix[] | undefined {
  const told = prevResult === undefined ? [] : ownAddresses(prevResult, attachment);
  const link = rtnl && getLink(rtnl, attachment.ifName);
  const met = rtnl === undefined || link === undefined ? [] : listAddresses(rtnl, link);
  const addresses = [
    ...told.map(({ address }) => address),
    ...met.filter(({ isGlobal }) => isGlobal).map(({ prefix }) => prefix),
  ];
  return addresses.length === 0 ? undefined : addresses;
}
