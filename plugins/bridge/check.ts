/** CHECK: everything that ADD made is still as it made it. */
import { broken, type Findings } from '#lib/cni/finding.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import type { Result } from '#lib/cni/result.ts';
import { openContainer } from '#lib/cni/attachment.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import {
  checkAddresses,
  checkConnected,
  checkContainerLink,
  checkHostEnd,
  checkMac,
} from '#lib/container-link/check.ts';
import { checkMasquerade } from '#lib/masquerade/masquerade.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { isActive, portOptions } from '#lib/net/bridge.ts';
import { isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { getPeer, VETH } from '#lib/net/veth.ts';
import { findBridge } from './bridge-link.ts';
import type { BridgeConfig } from './config.ts';
import { planGateways } from './gateway.ts';
import { hasSpoofCheck } from './spoof-check.ts';

type BridgeCall = AttachmentCall<BridgeConfig>;

/**
 * Finds what is not as ADD made it. @throws CniError without a prevResult or the container's
 * namespace
 */
export function* checkAttachment(call: BridgeCall): Findings {
  const { attachment, config } = call;
  const prevResult = requirePrevResult(call, 'Required prevResult missing');
  using host = openRtnl();
  using netns = openContainer(attachment);
  using container = openRtnl(netns);
  const bridge = yield* checkBridge(host, config, prevResult);
  const expectation = { kind: VETH, mayBeDown: config.interfaceStaysDown };
  const link = yield* checkContainerLink(container, call, prevResult, expectation);
  const port = link === undefined ? undefined : getPeer(host, link);
  const ips = ownAddresses(prevResult, attachment);
  if (link !== undefined) {
    yield* checkHostEnd({ end: port, link }, prevResult, config);
    if (port !== undefined) yield* checkPort({ port, bridge }, config);
    yield* checkAddresses(container, link, { ips, routes: prevResult.routes });
    yield* checkConnected(container, link, ips);
  }
  if (bridge !== undefined && config.vlan === 0) {
    yield* checkGateways(host, bridge, prevResult, config);
  }
  if (bridge !== undefined && bridge.mtuBytes < (config.mtuBytes ?? 0)) {
    yield broken(
      `Bridge "${bridge.name}" has MTU ${bridge.mtuBytes}, less than ${config.mtuBytes}`,
    );
  }
  const addresses = ips.map(({ address }) => address);
  if (config.masquerade !== undefined) {
    yield* checkMasquerade(attachment, addresses, config.masquerade);
  }
  if (config.macSpoofCheck && !hasSpoofCheck(attachment)) {
    const what = port === undefined ? attachment.ifName : `port "${port.name}"`;
    yield broken(`The MAC spoof check of ${what} is missing or was changed`);
  }
}

function* checkBridge(
  host: Netlink,
  config: BridgeConfig,
  result: Result,
): Findings<Link | undefined> {
  const expected = result.interfaces.find(
    ({ name, sandbox }) => name === config.bridge && !sandbox,
  );
  const found = findBridge(host, config.bridge);
  if ('reason' in found) {
    yield broken(found.reason, found.details);
    return undefined;
  }
  const { bridge } = found;
  if (expected === undefined) yield broken(`prevResult has no interface "${config.bridge}"`);
  else yield* checkMac(bridge, expected);
  if (!isUp(bridge)) yield broken(`Bridge "${bridge.name}" is down`);
  if (config.promiscuous && bridge.promiscuity === 0) {
    yield broken(`Bridge "${bridge.name}" is not promiscuous`);
  }
  return bridge;
}

function* checkPort(
  { port, bridge }: { port: Link; bridge: Link | undefined },
  config: BridgeConfig,
): Findings {
  if (bridge !== undefined && port.master !== bridge.index) {
    yield broken(`"${port.name}" is not a port of bridge "${bridge.name}"`);
  }
  if (!config.interfaceStaysDown && !isActive(port)) {
    yield broken(`Port "${port.name}" does not forward`);
  }
  const { hairpin, isolated } = portOptions(port);
  if (hairpin !== config.hairpin) yield broken(`Hairpin mode of port "${port.name}" is ${hairpin}`);
  if (isolated !== config.isolated) yield broken(`Isolation of port "${port.name}" is ${isolated}`);
}

function* checkGateways(
  host: Netlink,
  bridge: Link,
  result: Result,
  config: BridgeConfig,
): Findings {
  for (const missing of missingAddresses(host, bridge, planGateways(result, config).gateways)) {
    yield broken(`Bridge "${bridge.name}" does not have the gateway's address ${missing}`);
  }
}
