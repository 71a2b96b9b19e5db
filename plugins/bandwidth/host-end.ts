/** The host's end of a container's veth pair, found through the container's own end. */
import { getLink, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { peerIndex } from '#lib/net/veth.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import type { Result } from '#lib/cni/result.ts';

/**
 * The host's end of the veth pair of a container's interface; it must be among the interfaces that
 * the plugins before this one made. @throws CniError INVALID_CONFIG, NetlinkError
 */
export function findHostVeth(
  { host, container }: { readonly host: Netlink; readonly container: Netlink },
  ifName: string,
  { interfaces }: Result,
): Link {
  if (interfaces.length === 0) throw refuse('no interfaces provided');
  const own = getLink(container, ifName);
  if (own === undefined) throw refuse(`container interface ${ifName} not found`);
  const index = peerIndex(own);
  if (index === undefined) throw refuse(`container interface ${ifName} has no veth peer`);
  const peer = getLink(host, index);
  if (peer === undefined) throw refuse(`veth peer with index ${index} is not in host ns`);
  if (!interfaces.some(({ name, sandbox }) => !sandbox && name === peer.name)) {
    throw refuse('no veth peer of container interface found in host ns', `it is "${peer.name}"`);
  }
  return peer;
}

const refuse = (message: string, details?: string): CniError =>
  new CniError(CODE.INVALID_CONFIG, message, details);
