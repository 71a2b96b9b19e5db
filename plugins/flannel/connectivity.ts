/**
 * STATUS: whether the delegate's bridge has the addresses that its pods take for their gateways,
 * whoever made it.
 */
import { Prefix } from '#lib/addr/prefix.ts';
import { type Findings, limited } from '#lib/cni/finding.ts';
import { missingAddresses } from '#lib/net/address.ts';
import { getLink, listLinks } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { delegateBridge, type FlannelConfig } from './config.ts';
import type { Json } from './delegate-config.ts';
import type { SubnetEnv } from '#lib/flannel/subnet-env.ts';

/** A bridge without ports gets its address with the first pod. */
export function* checkGateway(
  config: FlannelConfig,
  delegate: Json,
  { subnets }: SubnetEnv,
): Findings {
  const name = delegateBridge(config);
  const isGateway = delegate['isGateway'] === true || delegate['isDefaultGateway'] === true;
  if (name === undefined || !isGateway || delegate['vlan']) return;
  using host = openRtnl();
  const bridge = getLink(host, name);
  if (bridge === undefined || listLinks(host, bridge).length === 0) return;
  const gateways = subnets.map((subnet) => new Prefix(subnet.first.plus(1n), subnet.bits));
  for (const missing of missingAddresses(host, bridge, gateways)) {
    yield limited(
      `Bridge "${name}" does not have ${missing}, the gateway of this node's subnet in "${config.subnetFile}"`,
      `its pods reach no other node. The next ADD gives it the address, or: ip addr add ${missing} dev ${name}`,
    );
  }
}
