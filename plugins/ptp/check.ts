/** CHECK: both ends are as ADD left them. The first difference is named. */
import { openContainer } from '#lib/cni/attachment.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import {
  broken,
  checkAddresses,
  checkContainerLink,
  checkHostEnd,
  missingRoute,
} from '#lib/ipam/check.ts';
import { checkMasquerade } from '#lib/masquerade/masquerade.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { listRoutes, type Route } from '#lib/net/route.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import type { PtpConfig } from './config.ts';
import {
  containerRoutes,
  hostAddresses,
  hostRoutes,
  requireGateways,
  type WiredIp,
} from './wire.ts';

/** @throws CniError that names the first difference */
export function checkAttachment(call: AttachmentCall<PtpConfig>): void {
  const { attachment, config } = call;
  const prevResult = requirePrevResult(call, 'ptp: Required prevResult missing');
  using host = openRtnl();
  using netns = openContainer(attachment);
  using container = openRtnl(netns);
  const link = checkContainerLink(container, call, prevResult, { mayBeDown: false });
  const end = checkHostEnd(host, link, prevResult, config);
  const ips = requireGateways(ownAddresses(prevResult, attachment));
  checkAddresses(container, link, { ips, routes: prevResult.routes });
  checkRoutes(container, link, containerRoutes(ips, link));
  checkHost(host, end, ips);
  const addresses = ips.map(({ address }) => address);
  if (config.masquerade !== undefined) checkMasquerade(attachment, addresses, config.masquerade);
}

function checkHost(host: Netlink, end: Link, ips: readonly WiredIp[]): void {
  if (!isUp(end)) throw broken(`Host interface "${end.name}" is down`);
  const [missing] = missingAddresses(host, end, hostAddresses(ips));
  if (missing !== undefined) {
    throw broken(`Host interface "${end.name}" does not have the gateway's address ${missing}`);
  }
  checkRoutes(host, end, hostRoutes(ips, end));
}

function checkRoutes(rtnl: Netlink, link: Link, routes: readonly Route[]): void {
  for (const route of routes) {
    const present = listRoutes(rtnl, route.dst.family, link);
    if (!present.some((candidate) => isSame(candidate, route))) {
      throw missingRoute(route, route.gw, link);
    }
  }
}

const isSame = (a: Route, b: Route): boolean =>
  a.dst.equals(b.dst) && String(a.gw) === String(b.gw) && String(a.src) === String(b.src);
