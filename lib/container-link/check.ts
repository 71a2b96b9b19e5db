/** CHECK of a container's interface, of whatever kind, against the result of its ADD. */
import { broken, type Finding, type Findings } from '#lib/cni/finding.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import type { Result, ResultInterface } from '#lib/cni/result.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { listRoutes, type Route, RT_TABLE_MAIN } from '#lib/net/route.ts';
import { type AddressPlan, describeRoute, plannedRoutes, type RoutePlan } from './configure.ts';

/** The MTU that the network asks for; undefined: the kernel's. */
interface MtuConfig {
  readonly mtuBytes: number | undefined;
}

/** Expectations of the interface beside the result. */
interface Expectation {
  readonly kind: string;
  readonly mayBeDown: boolean;
}

/**
 * The container's interface is there, of the right kind, with the right MTU, up unless it may be
 * down. @returns it, if it is there
 */
export function* checkContainerLink(
  container: Netlink,
  { attachment, config }: AttachmentCall<MtuConfig>,
  result: Result,
  { kind, mayBeDown }: Expectation,
): Findings<Link | undefined> {
  const { ifName, netns } = attachment;
  const what = `Container interface "${ifName}"`;
  const expected = result.interfaces.find(
    ({ name, sandbox }) => name === ifName && sandbox === netns,
  );
  if (expected === undefined) yield broken(`prevResult has no interface "${ifName}" in "${netns}"`);
  const link = getLink(container, ifName);
  if (link === undefined) {
    yield broken(`${what} not found in "${netns}"`);
    return undefined;
  }
  if (link.kind !== kind) yield broken(`${what} is not of kind ${kind}`);
  if (expected !== undefined) yield* checkMac(link, expected);
  if (!mayBeDown && !isUp(link)) yield broken(`${what} is down`);
  // A later plugin may have given the interface another MTU, and written it into the result.
  yield* checkMtu(what, link, expected?.mtu ?? config.mtuBytes);
  return link;
}

/**
 * `end`, the host's end of the container's interface `link`, is there, with the right hardware
 * address and MTU.
 */
export function* checkHostEnd(
  { end, link }: { readonly end: Link | undefined; readonly link: Link },
  result: Result,
  { mtuBytes }: MtuConfig,
): Findings {
  if (end === undefined) {
    yield broken(`The host's end of container interface "${link.name}" not found`);
    return;
  }
  const expected = result.interfaces.find((made) => made.name === end.name && !made.sandbox);
  if (expected !== undefined) yield* checkMac(end, expected);
  yield* checkMtu(`Host interface "${end.name}"`, end, expected?.mtu ?? mtuBytes);
}

function* checkMtu(what: string, link: Link, mtuBytes: number | undefined): Findings {
  if (mtuBytes !== undefined && link.mtuBytes !== mtuBytes) {
    yield broken(`${what} has MTU ${link.mtuBytes}, not ${mtuBytes}`);
  }
}

/** The hardware address is the result's, if that has one. */
export function* checkMac(link: Link, { mac }: ResultInterface): Findings {
  if (mac !== undefined && link.mac !== mac) {
    yield broken(`Interface "${link.name}" has MAC ${link.mac}, not ${mac}`);
  }
}

/** Every address and route of the plan is there. */
export function* checkAddresses(rtnl: Netlink, link: Link, plan: RoutePlan): Findings {
  const addresses = plan.ips.map(({ address }) => address);
  for (const missing of missingAddresses(rtnl, link, addresses)) {
    yield broken(`Failed to find "${missing}" on interface "${link.name}"`);
  }
  for (const route of plannedRoutes(plan, link)) {
    const present = listRoutes(rtnl, route.dst.family, link);
    if (!present.some((candidate) => isAsPlanned({ candidate, planned: route }))) {
      yield missingRoute(route, link);
    }
  }
}

/** The rest of each address's subnet is on the link. */
export function* checkConnected(rtnl: Netlink, link: Link, ips: AddressPlan['ips']): Findings {
  for (const { address } of ips) {
    const dst = address.masked();
    const found = listRoutes(rtnl, dst.family, link).some((route) => route.dst.equals(dst));
    // A subnet of one address has no route.
    if (address.hostBits > 0 && !found) yield missingRoute({ dst }, link);
  }
}

/**
 * Defaults of the main table are compared by network alone, as the reference does: containers may
 * choose another gateway.
 */
function isAsPlanned({
  candidate,
  planned,
}: Readonly<Record<'candidate' | 'planned', Route>>): boolean {
  const table = planned.table ?? RT_TABLE_MAIN;
  if (!candidate.dst.equals(planned.dst) || candidate.table !== table) return false;
  if (planned.dst.bits === 0 && table === RT_TABLE_MAIN) return true;
  return (
    String(candidate.gw) === String(planned.gw) &&
    (planned.priority === undefined || candidate.priority === planned.priority) &&
    (planned.mtuBytes === undefined || candidate.mtuBytes === planned.mtuBytes) &&
    (planned.advmssBytes === undefined || candidate.advmssBytes === planned.advmssBytes)
  );
}

/** A route that is not there. */
export const missingRoute = (route: Pick<Route, 'dst' | 'gw'>, link: Link): Finding =>
  broken(`Expected route "${describeRoute(route, link)}" not found`);
