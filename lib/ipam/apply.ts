/** Giving a container's interface what an IPAM plugin answered: sysctls, addresses, routes. */
import type { Address, Family } from '#lib/addr/address.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import type { ResultIp, ResultRoute } from '#lib/cni/result.ts';
import { addAddress, listAddresses } from '#lib/net/address.ts';
import { type Link, setLinkMac, setLinkUp } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { addRoute } from '#lib/net/route.ts';
import { poll } from '#lib/sys/clock.ts';
import { isSysError } from '#lib/sys/error.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { readSysctl, trySysctl, writeSysctl } from '#lib/sys/sysctl.ts';

/** Duplicate address detection takes a second or two. */
const DAD_LIMIT_MS = 5_000;
const DAD_POLL_MS = 20;

/** A container as its plugins work on it: its namespace, a socket in it, its interface. */
export interface Container {
  readonly netns: Netns;
  readonly rtnl: Netlink;
  readonly link: Link;
}

/** The IPAM answer for one interface, and whether IPv6 addresses are to be checked for duplicates. */
export interface AddressPlan {
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dad: boolean;
}

/** Gives the interface its addresses, sets it up, adds the routes. @throws CniError, NetlinkError, SysError */
export function configureInterface(container: Container, plan: AddressPlan): void {
  configureAddresses(container, plan);
  addRoutes(container, plan);
}

/** Gives the interface its addresses and sets it up. @throws CniError, NetlinkError, SysError */
export function configureAddresses(container: Container, plan: Omit<AddressPlan, 'routes'>): void {
  const { netns, rtnl, link } = container;
  const noDad = !plan.dad;
  within(netns, () => prepare(link.name, plan));
  for (const { address } of plan.ips) addAddress(rtnl, link, address, { noDad });
  setLinkUp(rtnl, link);
  if (plan.dad && plan.ips.some(({ address }) => address.family === 6)) awaitDad(rtnl, link);
}

/** Adds the routes of the plan, through their gateways or the addresses'. @throws CniError */
export function addRoutes({ rtnl, link }: Container, plan: Omit<AddressPlan, 'dad'>): void {
  for (const route of plan.routes) {
    const gw = route.gw ?? firstGateway(plan.ips, route.dst.family);
    step(`failed to add route "${route.dst} via ${gw ?? 'none'} dev ${link.name}"`, () =>
      addRoute(rtnl, {
        dst: route.dst,
        gw,
        oif: link.index,
        mtuBytes: route.mtu || undefined,
        advmssBytes: route.advmss || undefined,
        priority: route.priority || undefined,
        table: route.table,
        scope: route.scope,
      }),
    );
  }
}

/**
 * Tells the link that the addresses are at this hardware address now (gratuitous ARP, unsolicited neighbour advertisements):
 * setting the address that the interface has makes the kernel announce it. To be called once frames get through, after
 * configureInterface. A raw socket could say the same, but to close one takes the kernel ten milliseconds. @throws NetlinkError
 */
export function announceAddresses({ rtnl, link }: Container): void {
  if (link.mac !== undefined) setLinkMac(rtnl, link, link.mac);
}

/** The gateway that routes of a family take if they name none. */
export const firstGateway = (ips: readonly ResultIp[], family: Family): Address | undefined =>
  ips.find(({ address, gateway }) => gateway !== undefined && address.family === family)?.gateway;

function prepare(ifName: string, { ips, dad }: Omit<AddressPlan, 'routes'>): void {
  // The kernel then announces the addresses whenever the interface comes up or gets a hardware address.
  trySysctl(`net/ipv4/conf/${ifName}/arp_notify`, '1');
  trySysctl(`net/ipv6/conf/${ifName}/ndisc_notify`, '1');
  trySysctl(`net/ipv6/conf/${ifName}/accept_dad`, dad ? '1' : '0');
  if (dad) trySysctl(`net/ipv6/conf/${ifName}/enhanced_dad`, '1');
  const first = ips.find(({ address }) => address.family === 6);
  if (first !== undefined) enableIpv6(ifName, first);
}

function enableIpv6(ifName: string, { address }: ResultIp): void {
  // The kernel itself has IPv6: IPAM's addresses were let through.
  if (readSysctl(`net/ipv6/conf/${ifName}/disable_ipv6`) === undefined) {
    throw new CniError(
      CODE.IO_FAILURE,
      `failed to enable IPv6 for interface "${ifName}": its MTU is below 1280 bytes, and IPAM gave "${address}"`,
      'set "mtu" to 1280 or more, or take the IPv6 range out of the network configuration',
    );
  }
  step(`failed to enable IPv6 for interface "${ifName}"`, () => {
    for (const name of ['lo', ifName]) writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '0');
    keepAddressOnDown(ifName);
  });
}

/** Addresses must survive the interface being set down. Kernels before 4.6 can't. */
function keepAddressOnDown(ifName: string): void {
  try {
    writeSysctl(`net/ipv6/conf/${ifName}/keep_addr_on_down`, '1');
  } catch (error) {
    if (!isSysError(error, 'ENOENT')) throw error;
  }
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
