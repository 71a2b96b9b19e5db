/** CHECK: everything that ADD made is still as it made it. The first difference is named. */
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import type { Result } from '#lib/cni/result.ts';
import { openContainer } from '#lib/cni/attachment.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import {
  broken,
  checkAddresses,
  checkConnected,
  checkContainerLink,
  checkHostEnd,
  checkMac,
} from '#lib/ipam/check.ts';
import { checkMasquerade } from '#lib/masquerade/masquerade.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { isActive, portOptions } from '#lib/net/bridge.ts';
import { isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { requireBridge } from './bridge-link.ts';
import type { BridgeConfig } from './config.ts';
import { planGateways } from './gateway.ts';
import { hasSpoofCheck } from './spoof-check.ts';

type BridgeCall = AttachmentCall<BridgeConfig>;

/** @throws CniError that names the first difference */
export function checkAttachment(call: BridgeCall): void {
  const { attachment, config } = call;
  const prevResult = requirePrevResult(call, 'Required prevResult missing');
  using host = openRtnl();
  using netns = openContainer(attachment);
  using container = openRtnl(netns);
  const bridge = checkBridge(host, config, prevResult);
  const mayBeDown = config.interfaceStaysDown;
  const link = checkContainerLink(container, call, prevResult, { mayBeDown });
  const port = checkPort(host, bridge, link, prevResult, config);
  const ips = ownAddresses(prevResult, attachment);
  checkAddresses(container, link, { ips, routes: prevResult.routes });
  checkConnected(container, link, ips);
  if (config.vlan === 0) checkGateways(host, bridge, prevResult, config);
  const addresses = ips.map(({ address }) => address);
  if (config.masquerade !== undefined) checkMasquerade(attachment, addresses, config.masquerade);
  if (config.macSpoofCheck && !hasSpoofCheck(attachment)) {
    throw broken(`The MAC spoof check of port "${port.name}" is missing or was changed`);
  }
}

function checkBridge(host: Netlink, config: BridgeConfig, result: Result): Link {
  const bridge = requireBridge(host, config.bridge);
  const expected = result.interfaces.find(
    ({ name, sandbox }) => name === config.bridge && !sandbox,
  );
  if (expected === undefined) throw broken(`prevResult has no interface "${config.bridge}"`);
  checkMac(bridge, expected);
  if (!isUp(bridge)) throw broken(`Bridge "${bridge.name}" is down`);
  if (config.promiscuous && bridge.promiscuity === 0) {
    throw broken(`Bridge "${bridge.name}" is not promiscuous`);
  }
  return bridge;
}

function checkPort(
  host: Netlink,
  bridge: Link,
  link: Link,
  result: Result,
  config: BridgeConfig,
): Link {
  const port = checkHostEnd(host, link, result, config);
  if (port.master !== bridge.index)
    throw broken(`"${port.name}" is not a port of bridge "${bridge.name}"`);
  if (!config.interfaceStaysDown && !isActive(port))
    throw broken(`Port "${port.name}" does not forward`);
  const { hairpin, isolated } = portOptions(port);
  if (hairpin !== config.hairpin) throw broken(`Hairpin mode of port "${port.name}" is ${hairpin}`);
  if (isolated !== config.isolated) throw broken(`Isolation of port "${port.name}" is ${isolated}`);
  return port;
}

function checkGateways(host: Netlink, bridge: Link, result: Result, config: BridgeConfig): void {
  const [missing] = missingAddresses(host, bridge, planGateways(result, config).gateways);
  if (missing !== undefined) {
    throw broken(`Bridge "${bridge.name}" does not have the gateway's address ${missing}`);
  }
}
