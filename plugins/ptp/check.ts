/** CHECK: both ends are as ADD left them. */
import { openContainer } from '#lib/cni/attachment.ts';
import { broken, type Findings } from '#lib/cni/finding.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import {
  checkAddresses,
  checkContainerLink,
  checkHostEnd,
  missingRoute,
} from '#lib/container-link/check.ts';
import { checkMasquerade } from '#lib/masquerade/masquerade.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { listRoutes, type Route } from '#lib/net/route.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { getPeer, VETH } from '#lib/net/veth.ts';
import type { PtpConfig } from './config.ts';
import {
  containerRoutes,
  hostAddresses,
  hostRoutes,
  requireGateways,
  type WiredIp,
} from './wire.ts';

/**
 * Finds what is not as ADD made it. @throws CniError without a prevResult or the container's
 * namespace
 */
export function* checkAttachment(call: AttachmentCall<PtpConfig>): Findings {
  const { attachment, config } = call;
  const prevResult = requirePrevResult(call, 'ptp: Required prevResult missing');
  using host = openRtnl();
  using netns = openContainer(attachment);
  using container = openRtnl(netns);
  const expectation = { kind: VETH, mayBeDown: false };
  const link = yield* checkContainerLink(container, call, prevResult, expectation);
  const ips = requireGateways(ownAddresses(prevResult, attachment));
  if (link !== undefined) {
    const end = getPeer(host, link);
    yield* checkHostEnd({ end, link }, prevResult, config);
    yield* checkAddresses(container, link, { ips, routes: prevResult.routes });
    yield* checkRoutes(container, link, containerRoutes(ips, link));
    if (end !== undefined) yield* checkHost(host, end, ips);
  }
  const addresses = ips.map(({ address }) => address);
  if (config.masquerade !== undefined) {
    yield* checkMasquerade(attachment, addresses, config.masquerade);
  }
}

function* checkHost(host: Netlink, end: Link, ips: readonly WiredIp[]): Findings {
  if (!isUp(end)) yield broken(`Host interface "${end.name}" is down`);
  for (const missing of missingAddresses(host, end, hostAddresses(ips))) {
    yield broken(`Host interface "${end.name}" does not have the gateway's address ${missing}`);
  }
  yield* checkRoutes(host, end, hostRoutes(ips, end));
}

function* checkRoutes(rtnl: Netlink, link: Link, routes: readonly Route[]): Findings {
  for (const route of routes) {
    const present = listRoutes(rtnl, route.dst.family, link);
    if (!present.some((candidate) => isSame(candidate, route))) {
      yield missingRoute(route, link);
    }
  }
}

const isSame = (a: Route, b: Route): boolean =>
  a.dst.equals(b.dst) && String(a.gw) === String(b.gw) && String(a.src) === String(b.src);
