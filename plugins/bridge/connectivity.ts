/** STATUS: whether the pods that run are connected. The first thing that cuts one off is named. */
import { CniError, CODE } from '#lib/cni/error.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { requireForwarding } from '#lib/ipam/forwarding.ts';
import { describeEnds, limited, listPodEnds, stillThere } from '#lib/ipam/pod-ends.ts';
import { listAddresses } from '#lib/net/address.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { type BridgeConfig, configuredGateways } from './config.ts';
import { gatewayLinkName } from './gateway.ts';

type BridgeCall = Call<BridgeConfig>;

/** @throws CniError PLUGIN_NOT_AVAILABLE if something else has the bridge's name; LIMITED_CONNECTIVITY */
export function checkConnectivity(call: BridgeCall): void {
  const { config, network } = call;
  using host = openRtnl();
  const pods = listPodEnds(host, network);
  const bridge = getLink(host, config.bridge);
  if (bridge !== undefined && bridge.kind !== 'bridge') {
    throw new CniError(
      CODE.PLUGIN_NOT_AVAILABLE,
      `"${bridge.name}" already exists but is not a bridge`,
      `it is of kind "${bridge.kind ?? 'hardware'}": name another "bridge", or delete it`,
    );
  }
  checkPorts(host, bridge, pods, call);
  // Without a pod of this network nothing is cut off: the next ADD sees to the bridge.
  if (bridge === undefined || pods.length === 0) return;
  if (!isUp(bridge)) {
    throw limited(
      `Bridge "${bridge.name}" is down: its pods are cut off`,
      `ip link set ${bridge.name} up; the next ADD does it too`,
    );
  }
  if (config.isGateway) checkGateway(host, call);
}

function checkPorts(
  host: Netlink,
  bridge: Link | undefined,
  pods: readonly Link[],
  { config, network }: BridgeCall,
): void {
  const isStray = ({ master }: Link): boolean => bridge === undefined || master !== bridge.index;
  const strays = stillThere(host, pods.filter(isStray));
  if (strays.length === 0) return;
  const what =
    bridge === undefined
      ? `bridge "${config.bridge}" is gone, which had the ports`
      : `these are no ports of bridge "${config.bridge}":`;
  throw limited(
    `Pods of network "${network}" are cut off: ${what} ${describeEnds(strays)}`,
    'delete these pods (ip link show tells whose interfaces they are), and look for what changed the bridge: its configuration, a network manager, a script',
  );
}

function checkGateway(host: Netlink, { config, json }: BridgeCall): void {
  const name = gatewayLinkName(config);
  const link = getLink(host, name);
  const present = link === undefined ? [] : listAddresses(host, link);
  const global = present.filter(({ isGlobal }) => isGlobal).map(({ prefix }) => prefix);
  const expected = configuredGateways(config, json);
  const missing = expected.find((set) => !set.some((one) => global.some((its) => its.equals(one))));
  if (missing !== undefined || global.length === 0) {
    const address =
      missing === undefined ? 'an address' : `the gateway's address ${missing.join(' or ')}`;
    throw limited(
      `"${name}" does not have ${address}: its pods reach nothing outside of their subnet`,
      `it has ${global.join(', ') || 'none'}. The next ADD gives it the address, or: ip addr add ${missing?.[0] ?? 'ADDRESS/BITS'} dev ${name}`,
    );
  }
  const families = expected.flatMap((set) => set.map(({ family }) => family));
  requireForwarding(families.length > 0 ? families : global.map(({ family }) => family));
}
