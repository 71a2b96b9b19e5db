/**
 * The bridge itself: making it, accepting one that is there, deleting it if the ADD that made it
 * fails.
 */
import type { Address } from '#lib/addr/address.ts';
import { type Mac, macFromBytes } from '#lib/addr/mac.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import {
  deleteLink,
  getLink,
  IFF,
  isUp,
  type Link,
  listLinks,
  setLinkPromiscuous,
  setLinkUp,
} from '#lib/net/link.ts';
import { type Netlink, netlinkError } from '#lib/net/netlink.ts';
import { addLink } from '#lib/net/new-link.ts';
import { randomMac } from '#lib/net/veth.ts';
import { succeeds } from '#lib/sys/recover.ts';
import { trySysctl } from '#lib/sys/sysctl.ts';
import { type BridgeConfig, usesVlans } from './config.ts';
import { raiseMtu } from './mtu.ts';
import { explainVlans } from './vlans.ts';

/**
 * The bridge of the configuration, up; `gateway` is the address it is to have, if any.
 * @throws CniError
 */
export function ensureBridge(
  host: Netlink,
  config: BridgeConfig,
  gateway: Address | undefined,
  undo: DisposableStack,
): Link {
  return step(`failed to create bridge "${config.bridge}"`, () => {
    if (getLink(host, config.bridge) === undefined) createBridge(host, config, gateway, undo);
    const found = requireBridge(host, config.bridge);
    const bridge = { ...found, mtuBytes: raiseMtu(host, found, config.mtuBytes, undo) };
    if (!isUp(bridge)) setLinkUp(host, bridge);
    if (config.promiscuous && (bridge.flags & IFF.PROMISC) === 0)
      setLinkPromiscuous(host, bridge, true);
    // Router advertisements in the containers' network are not for the host.
    trySysctl(`net/ipv6/conf/${config.bridge}/accept_ra`, '0');
    return bridge;
  });
}

/** A bridge, or why there is none. */
type FoundBridge =
  | { readonly bridge: Link }
  | { readonly reason: string; readonly details: string };

/** The bridge of this name, or why there is none. @throws NetlinkError */
export function findBridge(host: Netlink, name: string): FoundBridge {
  const link = getLink(host, name);
  if (link === undefined) return { reason: `bridge "${name}" not found`, details: '' };
  if (link.kind === 'bridge') return { bridge: link };
  const kind = link.kind === undefined ? 'a device' : `of kind "${link.kind}"`;
  const reason = `"${name}" already exists but is not a bridge`;
  return { reason, details: `it is ${kind}: name another "bridge", or delete it` };
}

function requireBridge(host: Netlink, name: string): Link {
  const found = findBridge(host, name);
  if ('bridge' in found) return found.bridge;
  throw new CniError(CODE.INTERNAL, found.reason, found.details);
}

function createBridge(
  host: Netlink,
  config: BridgeConfig,
  gateway: Address | undefined,
  undo: DisposableStack,
): void {
  const { bridge: name, mtuBytes } = config;
  let isOurs = true;
  // If the reply is lost, the kernel may still have acted: the undo comes first.
  undo.defer(() => isOurs && deleteUnusedBridge(host, name));
  const link = { name, mac: bridgeMac(gateway), mtuBytes, isUp: true };
  const add = () => addLink(host, { kind: 'bridge', ...link, vlanFiltering: usesVlans(config) });
  // Another ADD may be quicker: then the bridge is that one's.
  isOurs = succeeds(() => explainVlans(add), netlinkError('EEXIST'));
}

/** Deletes the bridge, unless another ADD has given it a port by now. */
function deleteUnusedBridge(host: Netlink, name: string): void {
  const bridge = getLink(host, name);
  if (bridge !== undefined && listLinks(host, bridge).length === 0) deleteLink(host, bridge.index);
}

/**
 * A hardware address of the bridge's own: ports that come and go do not change it. With a gateway,
 * a new bridge gets the same address again.
 */
function bridgeMac(gateway: Address | undefined): Mac {
  return gateway?.family === 4 ? macFromBytes([0x0a, 0x58, ...gateway.toBytes()]) : randomMac();
}
