/**
 * A subnet.env of yesterday: in the moments between a node's return and flanneld's rewrite of the
 * file, pods would get addresses that the cluster routes to another node. A failed ADD is tried
 * again, such a pod never recovers.
 */
import type { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { type LinkAddress, listAddresses, listIpv4Addresses } from '#lib/net/address.ts';
import { getLink, type Link, listLinks } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { delegateBridge, type FlannelConfig } from './config.ts';
import type { SubnetEnv } from '#lib/flannel/subnet-env.ts';

/**
 * flanneld's devices for IPv6 (backends vxlan and wireguard); those for IPv4 are found by their
 * addresses' labels.
 */
const IPV6_DEVICES = ['flannel-v6.1', 'flannel-wg-v6', 'flannel-wg'];

/** @throws CniError TRY_AGAIN_LATER when the kernel shows that the node's subnet is another one */
export function refuseContradiction(config: FlannelConfig, env: SubnetEnv): void {
  using host = openRtnl();
  const ipv4 = listIpv4Addresses(host);
  for (const { label, prefix } of [
    ...ipv4.filter(isFlannelDevice),
    ...ipv6DeviceAddresses(host, env),
  ]) {
    if (isElsewhere(prefix, env)) {
      throw contradiction(config, env, `flannel's device "${label}" has ${prefix.address}`, prefix);
    }
  }
  const name = delegateBridge(config);
  const bridge =
    name === undefined || config.delegate['forceAddress'] === true
      ? undefined
      : getLink(host, name);
  if (bridge !== undefined) refuseBridge(host, bridge, config, env);
}

const isFlannelDevice = ({ label }: LinkAddress): boolean => label?.startsWith('flannel') === true;

function ipv6DeviceAddresses(host: Netlink, env: SubnetEnv): LinkAddress[] {
  if (env.subnets.every(({ family }) => family === 4)) return [];
  return IPV6_DEVICES.flatMap((name) => {
    const link = getLink(host, name);
    const addresses = link === undefined ? [] : listAddresses(host, link);
    return addresses
      .filter(({ prefix }) => prefix.family === 6)
      .map((address) => ({ ...address, label: name }));
  });
}

/** An address of the cluster that is not of this node's subnet. */
function isElsewhere({ address }: Prefix, { networks, subnets }: SubnetEnv): boolean {
  const own = subnets.filter(({ family }) => family === address.family);
  return (
    own.length > 0 &&
    networks.some((network) => network.contains(address)) &&
    !own.some((subnet) => subnet.contains(address))
  );
}

/**
 * A bridge without ports replaces its address itself; one in use tells which subnet the node really
 * has.
 */
function refuseBridge(host: Netlink, bridge: Link, config: FlannelConfig, env: SubnetEnv): void {
  const stale = listAddresses(host, bridge).find(({ prefix }) => isElsewhere(prefix, env));
  if (stale === undefined) return;
  const ports = listLinks(host, bridge).map(({ name }) => name);
  if (ports.length === 0) return;
  const wanted = env.subnets.find(({ family }) => family === stale.prefix.family);
  const known = `"${bridge.name}" already has an IP address different from ${wanted?.first.plus(1n)}/${wanted?.bits}`;
  throw contradiction(
    config,
    env,
    `${known}: it has ${stale.prefix}, used by ports ${ports.join(', ')}`,
    stale.prefix,
  );
}

function contradiction(
  { subnetFile }: FlannelConfig,
  { subnets }: SubnetEnv,
  met: string,
  { family }: Prefix,
): CniError {
  const subnet = subnets.find((candidate) => candidate.family === family);
  return new CniError(
    CODE.TRY_AGAIN_LATER,
    `"${subnetFile}" says this node's subnet is ${subnet}, but ${met}`,
    'flanneld is about to rewrite the file, or the node got another subnet: ' +
      'if this stays, restart flanneld, and delete the pods of the old subnet',
  );
}
