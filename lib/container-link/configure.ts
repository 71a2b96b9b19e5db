/** Configuring a container's interface by the IPAM plugin's answer: sysctls, addresses, routes. */
import type { Address } from '#lib/addr/address.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import type { ResultIp, ResultRoute } from '#lib/cni/result.ts';
import { addAddress, listAddresses } from '#lib/net/address.ts';
import { type Link, setLinkMac, setLinkUp } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { addRoute, type Route, RT_SCOPE_LINK } from '#lib/net/route.ts';
import { poll } from '#lib/sys/clock.ts';
import { sysError } from '#lib/sys/error.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { recover } from '#lib/sys/recover.ts';
import { trySysctl, writeSysctl } from '#lib/sys/sysctl.ts';
import { requireIpv6, requireIpv6Mtu } from './ipv6.ts';

/** Duplicate address detection takes a second or two. */
const DAD_LIMIT_MS = 5_000;
const DAD_POLL_MS = 20;

/** A container as its plugins work on it: its namespace, a socket in it, its interface. */
export interface Container {
  readonly netns: Netns;
  readonly rtnl: Netlink;
  readonly link: Link;
}

/**
 * The IPAM answer for one interface, and whether IPv6 addresses are to be checked for duplicates.
 */
export interface AddressPlan {
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dad: boolean;
}

/**
 * Gives the interface its addresses, sets it up, adds the routes. @throws CniError, NetlinkError,
 * SysError
 */
export function configureInterface(container: Container, plan: AddressPlan): void {
  configureAddresses(container, plan);
  addRoutes(container, plan);
}

/** Gives the interface its addresses and sets it up. @throws CniError, NetlinkError, SysError */
export function configureAddresses(container: Container, plan: Omit<AddressPlan, 'routes'>): void {
  const { netns, rtnl, link } = container;
  const noDad = !plan.dad;
  const addresses = plan.ips.map(({ address }) => address);
  requireIpv6(addresses);
  requireIpv6Mtu(addresses, link.mtuBytes, `the MTU of "${link.name}"`);
  within(netns, () => prepare(link.name, plan));
  for (const address of addresses) addAddress(rtnl, link, address, { noDad });
  setLinkUp(rtnl, link);
  if (plan.dad && addresses.some(({ family }) => family === 6)) awaitDad(rtnl, link);
}

/** Adds the routes of the plan. @throws CniError */
export function addRoutes({ rtnl, link }: Container, plan: RoutePlan): void {
  for (const route of plannedRoutes(plan, link)) {
    step(`failed to add route "${describeRoute(route, link)}"`, () => addRoute(rtnl, route));
  }
}

/** Addresses, and the routes that may go through their gateways. */
export type RoutePlan = Omit<AddressPlan, 'dad'>;

/** The routes of a plan as the kernel has them. */
export const plannedRoutes = ({ ips, routes }: RoutePlan, { index }: Link): Route[] =>
  routes.map((route) => ({
    dst: route.dst.masked(),
    gw: gatewayOf(route, ips),
    oif: index,
    mtuBytes: route.mtu || undefined,
    advmssBytes: route.advmss || undefined,
    priority: route.priority || undefined,
    table: route.table || undefined,
    scope: route.scope,
  }));

/**
 * The gateway that a route names, or that of the addresses; undefined: its destination is on the
 * link. 0.0.0.0 and :: name none.
 */
function gatewayOf({ gw, scope, dst }: ResultRoute, ips: readonly ResultIp[]): Address | undefined {
  if (gw !== undefined) return gw.value === 0n ? undefined : gw;
  // On the link itself, or narrower.
  if (scope !== undefined && scope >= RT_SCOPE_LINK) return undefined;
  return ips.find(({ address, gateway }) => gateway !== undefined && address.family === dst.family)
    ?.gateway;
}

/** A route in iproute2's words. */
export const describeRoute = ({ dst, gw }: Pick<Route, 'dst' | 'gw'>, { name }: Link): string =>
  `${dst} via ${gw ?? 'none'} dev ${name}`;

/**
 * Announces the addresses with their hardware address (gratuitous ARP, unsolicited neighbour
 * advertisements): the kernel does it when the hardware address is set, even to the same value. To
 * be called after configureInterface, once frames get through. A raw socket could announce too, but
 * to close one takes the kernel ten milliseconds. @throws NetlinkError
 */
export function announceAddresses({ rtnl, link }: Container): void {
  if (link.mac !== undefined) setLinkMac(rtnl, link, link.mac);
}

function prepare(ifName: string, { ips, dad }: Omit<AddressPlan, 'routes'>): void {
  // With these the kernel announces the addresses whenever the interface comes up or gets a
  // hardware address.
  trySysctl(`net/ipv4/conf/${ifName}/arp_notify`, '1');
  trySysctl(`net/ipv6/conf/${ifName}/ndisc_notify`, '1');
  trySysctl(`net/ipv6/conf/${ifName}/accept_dad`, dad ? '1' : '0');
  if (dad) trySysctl(`net/ipv6/conf/${ifName}/enhanced_dad`, '1');
  if (ips.some(({ address }) => address.family === 6)) enableIpv6(ifName);
}

function enableIpv6(ifName: string): void {
  step(`failed to enable IPv6 for interface "${ifName}"`, () => {
    for (const name of ['lo', ifName]) writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '0');
    keepAddressOnDown(ifName);
  });
}

/** Keeps IPv6 addresses when the interface is set down. Kernels before 4.6 can't. */
function keepAddressOnDown(ifName: string): void {
  const name = `net/ipv6/conf/${ifName}/keep_addr_on_down`;
  recover(() => writeSysctl(name, '1'), sysError('ENOENT'));
}

function awaitDad(rtnl: Netlink, link: Link): void {
  const settled = poll(
    () => {
      const addresses = listAddresses(rtnl, link);
      const duplicate = addresses.find(({ isDuplicate }) => isDuplicate);
      if (duplicate !== undefined) {
        throw new CniError(
          CODE.INTERNAL,
          `link ${link.name} has address ${duplicate.prefix} in DADFAILED state`,
          'another host on this link has the same address',
        );
      }
      return addresses.some(({ isTentative }) => isTentative) ? undefined : true;
    },
    { everyMs: DAD_POLL_MS, limitMs: DAD_LIMIT_MS },
  );
  if (settled === undefined) {
    throw new CniError(
      CODE.INTERNAL,
      `link ${link.name} still has tentative addresses after ${DAD_LIMIT_MS / 1000} seconds`,
    );
  }
}
