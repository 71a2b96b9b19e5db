/**
 * The bridge as the containers' gateway: the addresses that it gets, and those that it had before.
 */
import { FAMILIES } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, prefixed, step } from '#lib/cni/error.ts';
import { validateIfName } from '#lib/cni/environment.ts';
import type { Result, ResultIp, ResultRoute } from '#lib/cni/result.ts';
import { enableForwarding } from '#lib/container-link/forwarding.ts';
import { requireIpv6Mtu } from '#lib/container-link/ipv6.ts';
import { addAddress, deleteAddress, listAddresses } from '#lib/net/address.ts';
import { deleteLink, getLink, type Link, listLinks, setLinkMac, setLinkUp } from '#lib/net/link.ts';
import { isNetlinkError, type Netlink, netlinkError } from '#lib/net/netlink.ts';
import { addLink } from '#lib/net/new-link.ts';
import { getPeer, randomMac, randomVethName, VETH } from '#lib/net/veth.ts';
import { log } from '#lib/sys/process.ts';
import { recover } from '#lib/sys/recover.ts';
import type { BridgeConfig, GatewayKeys } from './config.ts';
import { raiseMtu } from './mtu.ts';
import { setPortVlans } from './vlans.ts';

/** Index of the container's interface in the result: after the bridge and the port. */
const CONTAINER_INTERFACE = 2;

/** The IPAM plugin's answer, with the gateways and default routes that the configuration adds. */
export interface GatewayPlan {
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  /** The addresses that the bridge is to have. */
  readonly gateways: readonly Prefix[];
}

/**
 * Works out gateways and default routes; an address without gateway gets the one after the
 * network's.
 */
export function planGateways({ ips, routes }: Result, config: BridgeConfig): GatewayPlan {
  const own = ips.map((ip) => ({
    ...ip,
    interface: CONTAINER_INTERFACE,
    gateway: ip.gateway ?? (config.isGateway ? ip.address.first.plus(1n) : undefined),
  }));
  const gateways = own.flatMap(({ address, gateway }) =>
    config.isGateway && gateway !== undefined ? [new Prefix(gateway, address.bits)] : [],
  );
  const defaults = config.isDefaultGateway ? defaultRoutes(own, routes) : [];
  return {
    ips: own,
    routes: [...routes, ...defaults],
    gateways: distinct(gateways),
  };
}

/** One default route a family, unless IPAM gave one with a gateway. */
function defaultRoutes(ips: readonly ResultIp[], routes: readonly ResultRoute[]): ResultRoute[] {
  return FAMILIES.flatMap((family) => {
    const ip = ips.find(({ address }) => address.family === family);
    const given = routes.some(
      ({ dst, gw }) => dst.family === family && dst.bits === 0 && gw !== undefined,
    );
    if (ip === undefined || given) return [];
    return [{ dst: Prefix.parse(family === 4 ? '0.0.0.0/0' : '::/0'), gw: ip.gateway }];
  });
}

/** The name of the interface that the host reaches the containers by. */
export const gatewayLinkName = ({ bridge, vlan, isGateway }: GatewayKeys): string =>
  vlan === 0 || !isGateway ? bridge : `${bridge}.${vlan}`;

/**
 * Makes or accepts the interface that has the gateway's addresses: the bridge, or with an access
 * VLAN one end of a veth pair, whose other end is a port of that VLAN. @throws CniError
 */
export function ensureGatewayLink(
  host: Netlink,
  bridge: Link,
  config: BridgeConfig,
  undo: DisposableStack,
): Link {
  const name = gatewayLinkName(config);
  if (name === bridge.name) return bridge;
  return step(`failed to create vlan gateway "${name}"`, () => {
    validateIfName(name);
    const gateway =
      getLink(host, name) ?? createVlanGateway(host, bridge, { name, vlan: config.vlan }, undo);
    const port = getPeer(host, gateway);
    if (port !== undefined) raiseMtu(host, port, bridge.mtuBytes, undo);
    return { ...gateway, mtuBytes: raiseMtu(host, gateway, bridge.mtuBytes, undo) };
  });
}

function createVlanGateway(
  host: Netlink,
  bridge: Link,
  { name, vlan }: { name: string; vlan: number },
  undo: DisposableStack,
): Link {
  const near = randomVethName();
  // If the reply is lost, the kernel may still have acted: the undo comes first.
  undo.defer(() => deleteLink(host, near));
  try {
    const { mtuBytes } = bridge;
    const peer = { name, mac: randomMac(), mtuBytes };
    const end = { name: near, mac: randomMac(), mtuBytes, isUp: true, master: bridge };
    addLink(host, { kind: VETH, ...end, peer });
  } catch (error) {
    const existing = isNetlinkError(error, 'EEXIST') ? getLink(host, name) : undefined;
    if (existing !== undefined) return existing;
    throw error;
  }
  const port = getLink(host, near);
  const gateway = getLink(host, name);
  if (port === undefined || gateway === undefined)
    throw new CniError(CODE.INTERNAL, `"${name}" vanished`);
  setPortVlans(host, port, [{ id: vlan, untagged: true, pvid: true }], { isOnly: true });
  setLinkUp(host, gateway);
  return gateway;
}

/**
 * The interface that has the gateway's addresses, and the bridge whose ports use them: often one
 * and the same.
 */
interface Gateway {
  readonly link: Link;
  readonly bridge: Link;
}

/** Gives the gateway its addresses and lets the host forward. @throws CniError */
export function ensureGateways(
  host: Netlink,
  gateway: Gateway,
  plan: GatewayPlan,
  config: BridgeConfig,
): void {
  const { link } = gateway;
  const what =
    config.vlan === 0
      ? 'failed to set bridge addr'
      : 'failed to set vlan interface for bridge with addr';
  requireIpv6Mtu(plan.gateways, link.mtuBytes, `the MTU of "${link.name}"`);
  for (const wanted of plan.gateways) {
    step(what, () => ensureAddress(host, gateway, { wanted, plan, force: config.forceAddress }));
  }
  enableForwarding(plan.gateways.map(({ family }) => family));
}

/**
 * An address that the gateway is to have, beside the others of the plan; with `force` whatever else
 * it has.
 */
interface WantedAddress {
  readonly wanted: Prefix;
  readonly plan: GatewayPlan;
  readonly force: boolean;
}

function ensureAddress(
  host: Netlink,
  gateway: Gateway,
  { wanted, plan, force }: WantedAddress,
): void {
  const { link } = gateway;
  const present = listAddresses(host, link).map(({ prefix }) => prefix);
  if (present.some((prefix) => prefix.equals(wanted))) return;
  const others = present.filter((prefix) => !plan.gateways.some((own) => own.equals(prefix)));
  const foreign = others.filter((prefix) => isInTheWay({ present: prefix, wanted }));
  if (foreign.length > 0 && !force) requireUnused(host, gateway, { foreign, wanted });
  for (const prefix of foreign) deleteAddress(host, link, prefix);
  // Another ADD may be quicker.
  recover(() => addAddress(host, link, wanted, { noDad: true }), netlinkError('EEXIST'));
  keepMac(host, link);
}

/**
 * A bridge has one IPv4 address for its containers. IPv6 addresses are in each other's way only if
 * their networks overlap.
 */
function isInTheWay({ present, wanted }: { present: Prefix; wanted: Prefix }): boolean {
  if (present.family !== wanted.family || present.address.isLinkLocal) return false;
  return wanted.family === 4 || present.overlaps(wanted);
}

/**
 * Addresses of a former subnet may go if no container is left that could use them. @throws CniError
 * otherwise
 */
function requireUnused(
  host: Netlink,
  { link, bridge }: Gateway,
  { foreign, wanted }: { foreign: readonly Prefix[]; wanted: Prefix },
): void {
  const ports = listLinks(host, bridge).map(({ name }) => name);
  if (ports.length === 0) {
    log(
      `cni-suite: bridge "${link.name}" had ${foreign.join(', ')} from an earlier subnet, replaced by ${wanted}`,
    );
    return;
  }
  throw new CniError(
    CODE.INTERNAL,
    `"${link.name}" already has an IP address different from ${wanted}`,
    `it has ${foreign.join(', ')}, and these ports use it: ${ports.join(', ')}. ` +
      `Delete the pods behind them and the address replaces itself, or set "forceAddress": true`,
  );
}

/**
 * Keeps a bridge's hardware address: setting the address that it has makes it permanent. Otherwise
 * a bridge takes the lowest of its ports'.
 */
function keepMac(host: Netlink, { index }: Link): void {
  const link = getLink(host, index);
  if (link?.mac === undefined || link.mac === '00:00:00:00:00:00') return;
  try {
    setLinkMac(host, link, link.mac);
  } catch (error) {
    throw prefixed("could not set bridge's mac", error);
  }
}
