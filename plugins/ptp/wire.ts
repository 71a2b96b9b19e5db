/**
 * Addresses and routes of both ends. The container has its address with the subnet's length, but
 * only the gateway, the host's end, is on its link: all other packets go through the gateway.
 */
import type { Address } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import type { ResultIp } from '#lib/cni/result.ts';
import {
  type AddressPlan,
  addRoutes,
  configureAddresses,
  type Container,
} from '#lib/container-link/configure.ts';
import { addAddress } from '#lib/net/address.ts';
import { getLink, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { addRoute, deleteRoute, replaceRoute, type Route } from '#lib/net/route.ts';
import { poll } from '#lib/sys/clock.ts';
import { trySysctl } from '#lib/sys/sysctl.ts';

/** linux/rtnetlink.h: the host's route to the container, as the reference plugin has it. */
const RT_SCOPE_HOST = 254;

/**
 * How long the kernel may take until it sees that both ends are up: it looks once a second at
 * least.
 */
const OPERATION_LIMIT_MS = 2_550;
const OPERATION_POLL_MS = 2;

/** An address whose gateway is known. */
export interface WiredIp extends ResultIp {
  readonly gateway: Address;
}

/**
 * The addresses with their gateways, which the host's end is to have. @throws CniError for one
 * without
 */
export const requireGateways = (ips: readonly ResultIp[]): WiredIp[] =>
  ips.map((ip) => {
    const { address, gateway } = ip;
    if (gateway !== undefined) return { ...ip, gateway };
    throw new CniError(
      CODE.INTERNAL,
      `IPAM plugin returned no gateway for "${address}"`,
      'the container reaches everything through the gateway: name one in "ipam"',
    );
  });

/** The host's own addresses on its end: every gateway once. */
export const hostAddresses = (ips: readonly WiredIp[]): Prefix[] =>
  distinct(ips.map(({ gateway }) => Prefix.host(gateway)));

/** The host's routes to the container. */
export const hostRoutes = (ips: readonly WiredIp[], { index }: Link): Route[] =>
  ips.map(({ address }) => ({
    dst: Prefix.host(address.address),
    oif: index,
    scope: address.family === 4 ? RT_SCOPE_HOST : undefined,
  }));

/** The container's routes: to each gateway on the link, to the rest of each subnet through it. */
export function containerRoutes(ips: readonly WiredIp[], { index }: Link): Route[] {
  const routes = ips.flatMap(({ address, gateway }): Route[] => {
    const common = { oif: index, src: address.address };
    const subnet = { ...common, dst: address.masked(), gw: gateway };
    return [
      { ...common, dst: Prefix.host(gateway) },
      // A subnet of one address has no rest.
      ...(address.hostBits === 0 ? [] : [subnet]),
    ];
  });
  return distinct(routes, ({ dst }) => String(dst));
}

/**
 * Gives the host's end its addresses, and the host its routes to the container. @throws CniError,
 * NetlinkError
 */
export function configureHostEnd(host: Netlink, end: Link, ips: readonly WiredIp[]): void {
  if (ips.some(({ address }) => address.family === 6)) {
    trySysctl(`net/ipv6/conf/${end.name}/disable_ipv6`, '0');
    // Only the container is on this link, and its addresses are others.
    trySysctl(`net/ipv6/conf/${end.name}/accept_dad`, '0');
  }
  for (const prefix of hostAddresses(ips)) {
    step(`failed to add IP addr ${prefix} to veth`, () =>
      addAddress(host, end, prefix, { noDad: true }),
    );
  }
  // The route replaces one to the address's former container.
  for (const route of hostRoutes(ips, end)) {
    step('failed to add route on host', () => replaceRoute(host, route));
  }
}

/**
 * Gives the container's interface its addresses and routes. @throws CniError, NetlinkError,
 * SysError
 */
export function configureContainer(
  container: Container,
  ips: readonly WiredIp[],
  routes: AddressPlan['routes'],
): void {
  const { rtnl, link } = container;
  configureAddresses(container, { ips, dad: false });
  // The kernel has added a route to the whole subnet on the link.
  for (const { address } of ips) {
    step('failed to delete route', () =>
      deleteRoute(rtnl, { dst: address.masked(), oif: link.index }),
    );
  }
  for (const route of containerRoutes(ips, link)) {
    step(`failed to add route "${route.dst} dev ${link.name}"`, () => addRoute(rtnl, route));
  }
  addRoutes(container, { ips, routes });
}

/**
 * Waits until an end is in operation: packets that are sent before are lost. At the limit it goes
 * on: only the first packets are lost then.
 */
export function awaitOperation(rtnl: Netlink, { index }: Link): void {
  poll(() => getLink(rtnl, index)?.operState === 'up' || undefined, {
    everyMs: OPERATION_POLL_MS,
    limitMs: OPERATION_LIMIT_MS,
  });
}
