/** CHECK: everything that ADD made is still as it made it. The first difference is named. */
import { CniError, CODE } from '#lib/cni/error.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import type { Result, ResultInterface } from '#lib/cni/result.ts';
import { openContainer } from '#lib/cni/attachment.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import { checkAddresses } from '#lib/ipam/apply.ts';
import { checkMasquerade } from '#lib/masquerade/masquerade.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { isActive, portOptions } from '#lib/net/bridge.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
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
  const link = checkContainerLink(container, call, prevResult);
  const port = checkPort(host, bridge, link, call);
  const ips = ownAddresses(prevResult, attachment);
  checkAddresses(container, link, { ips, routes: prevResult.routes });
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

function checkContainerLink(
  container: Netlink,
  { attachment, config }: BridgeCall,
  result: Result,
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
  if (!config.interfaceStaysDown && !isUp(link))
    throw broken(`Container interface "${ifName}" is down`);
  if (config.mtuBytes !== undefined && link.mtuBytes !== config.mtuBytes) {
    throw broken(
      `Container interface "${ifName}" has MTU ${link.mtuBytes}, not ${config.mtuBytes}`,
    );
  }
  return link;
}

function checkPort(
  host: Netlink,
  bridge: Link,
  link: Link,
  { config, prevResult }: BridgeCall,
): Link {
  const port = link.peer === undefined ? undefined : getLink(host, link.peer);
  if (port?.kind !== 'veth' || port.peer !== link.index) {
    throw broken(`The host's end of container interface "${link.name}" not found`);
  }
  if (port.master !== bridge.index)
    throw broken(`"${port.name}" is not a port of bridge "${bridge.name}"`);
  const expected = prevResult?.interfaces.find(
    ({ name, sandbox }) => name === port.name && !sandbox,
  );
  if (expected !== undefined) checkMac(port, expected);
  if (!config.interfaceStaysDown && !isActive(port))
    throw broken(`Port "${port.name}" does not forward`);
  const { hairpin, isolated } = portOptions(port);
  if (hairpin !== config.hairpin) throw broken(`Hairpin mode of port "${port.name}" is ${hairpin}`);
  if (isolated !== config.isolated) throw broken(`Isolation of port "${port.name}" is ${isolated}`);
  return port;
}

function checkMac(link: Link, { mac }: ResultInterface): void {
  if (mac !== undefined && link.mac !== mac) {
    throw broken(`Interface "${link.name}" has MAC ${link.mac}, not ${mac}`);
  }
}

function checkGateways(host: Netlink, bridge: Link, result: Result, config: BridgeConfig): void {
  const [missing] = missingAddresses(host, bridge, planGateways(result, config).gateways);
  if (missing !== undefined) {
    throw broken(`Bridge "${bridge.name}" does not have the gateway's address ${missing}`);
  }
}

const broken = (message: string): CniError => new CniError(CODE.INTERNAL, message);
