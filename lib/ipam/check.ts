/** CHECK of a container's interface against the result of its ADD. The first difference is named. */
import type { Address } from '#lib/addr/address.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import type { Result, ResultInterface, ResultRoute } from '#lib/cni/result.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { listRoutes } from '#lib/net/route.ts';
import { type AddressPlan, firstGateway } from './apply.ts';

/** A difference between what ADD made and what is there. */
export const broken = (message: string): CniError => new CniError(CODE.INTERNAL, message);

/** The container's veth is there, with the right MTU, up unless it is to stay down. @throws CniError */
export function checkContainerLink(
  container: Netlink,
  { attachment, config }: AttachmentCall<{ readonly mtuBytes: number | undefined }>,
  result: Result,
  { mayBeDown }: { mayBeDown: boolean },
): Link {
  const { ifName, netns } = attachment;
  const expected = result.interfaces.find(
    ({ name, sandbox }) => name === ifName && sandbox === netns,
  );
  if (expected === undefined) throw broken(`prevResult has no interface "${ifName}" in "${netns}"`);
  const link = getLink(container, ifName);
  if (link === undefined) throw broken(`Container interface "${ifName}" not found in "${netns}"`);
  if (link.kind !== 'veth') throw broken(`Container interface "${ifName}" is not of kind veth`);
  checkMac(link, expected);
  if (!mayBeDown && !isUp(link)) throw broken(`Container interface "${ifName}" is down`);
  // A plugin after the one that made the interface may have given it another MTU, and said so.
  checkMtu(`Container interface "${ifName}"`, link, expected.mtu ?? config.mtuBytes);
  return link;
}

/** The host's end of the container's veth is there, with the right MTU. @throws CniError */
export function checkHostEnd(
  host: Netlink,
  link: Link,
  result: Result,
  { mtuBytes }: { readonly mtuBytes: number | undefined },
): Link {
  const end = link.peer === undefined ? undefined : getLink(host, link.peer);
  if (end?.kind !== 'veth' || end.peer !== link.index) {
    throw broken(`The host's end of container interface "${link.name}" not found`);
  }
  const expected = result.interfaces.find(({ name, sandbox }) => name === end.name && !sandbox);
  if (expected !== undefined) checkMac(end, expected);
  checkMtu(`Host interface "${end.name}"`, end, expected?.mtu ?? mtuBytes);
  return end;
}

function checkMtu(what: string, link: Link, mtuBytes: number | undefined): void {
  if (mtuBytes !== undefined && link.mtuBytes !== mtuBytes) {
    throw broken(`${what} has MTU ${link.mtuBytes}, not ${mtuBytes}`);
  }
}

/** The hardware address is the result's, if that has one. @throws CniError */
export function checkMac(link: Link, { mac }: ResultInterface): void {
  if (mac !== undefined && link.mac !== mac) {
    throw broken(`Interface "${link.name}" has MAC ${link.mac}, not ${mac}`);
  }
}

/** Every address and route of the plan is there. @throws CniError */
export function checkAddresses(rtnl: Netlink, link: Link, plan: Omit<AddressPlan, 'dad'>): void {
  const addresses = plan.ips.map(({ address }) => address);
  const [missing] = missingAddresses(rtnl, link, addresses);
  if (missing !== undefined) {
    throw broken(`Failed to find "${missing}" on interface "${link.name}"`);
  }
  for (const route of plan.routes) checkRoute(rtnl, link, plan, route);
}

/** The rest of each address's subnet is on the link. @throws CniError */
export function checkConnected(rtnl: Netlink, link: Link, ips: AddressPlan['ips']): void {
  for (const { address } of ips) {
    const dst = address.masked();
    const found = listRoutes(rtnl, dst.family, link).some((route) => route.dst.equals(dst));
    // A subnet of one address has no rest.
    if (address.hostBits > 0 && !found) throw missingRoute({ dst }, undefined, link);
  }
}

/** Defaults are compared by network alone, as the reference does: containers may choose another gateway. */
function checkRoute(
  rtnl: Netlink,
  link: Link,
  plan: Omit<AddressPlan, 'dad'>,
  route: ResultRoute,
): void {
  const { dst } = route;
  const gw = route.gw ?? firstGateway(plan.ips, dst.family);
  const found = listRoutes(rtnl, dst.family, link).some(
    (candidate) =>
      candidate.dst.equals(dst.masked()) &&
      (dst.bits === 0 || gw === undefined || candidate.gw?.equals(gw) === true),
  );
  if (!found) throw missingRoute(route, gw, link);
}

/** The words for a route that is not there. */
export const missingRoute = (
  { dst }: Pick<ResultRoute, 'dst'>,
  gw: Address | undefined,
  { name }: Link,
): CniError => broken(`Expected route "${dst} via ${gw ?? 'none'} dev ${name}" not found`);
