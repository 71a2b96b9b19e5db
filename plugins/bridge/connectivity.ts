/** STATUS: whether the pods that run are connected. */
import { type Findings, limited, unavailable } from '#lib/cni/finding.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { checkForwarding } from '#lib/container-link/forwarding.ts';
import { describeEnds, stillThere } from '#lib/container-link/pod-ends.ts';
import { listAddresses } from '#lib/net/address.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { VETH } from '#lib/net/veth.ts';
import { listMarkedLinks } from '#lib/ownership/link-mark.ts';
import { findBridge } from './bridge-link.ts';
import { type BridgeConfig, configuredGateways } from './config.ts';
import { gatewayLinkName } from './gateway.ts';
import { checkMtus } from './mtu.ts';

type BridgeCall = Call<BridgeConfig>;

/** Finds why an ADD would fail, or why running pods can't be reached. */
export function* checkConnectivity(call: BridgeCall): Findings {
  const { config } = call;
  using host = openRtnl();
  const pods = listMarkedLinks(host, VETH, call);
  const found = findBridge(host, config.bridge);
  const bridge = 'bridge' in found ? found.bridge : undefined;
  if (bridge === undefined && 'reason' in found && getLink(host, config.bridge) !== undefined) {
    yield unavailable(found.reason, found.details);
  }
  yield* checkPorts(host, bridge, pods, call);
  // Without pods of this network nothing is cut off, and the next ADD repairs the bridge.
  if (bridge === undefined || pods.length === 0) return;
  if (!isUp(bridge)) {
    yield limited(
      `Bridge "${bridge.name}" is down: its pods are cut off`,
      `ip link set ${bridge.name} up; the next ADD does it too`,
    );
  }
  yield* checkMtus(
    bridge,
    pods.filter(({ master }) => master === bridge.index),
  );
  if (config.isGateway) yield* checkGateway(host, call);
}

function* checkPorts(
  host: Netlink,
  bridge: Link | undefined,
  pods: readonly Link[],
  { config, network }: BridgeCall,
): Findings {
  const isStray = ({ master }: Link): boolean => bridge === undefined || master !== bridge.index;
  const strays = stillThere(host, pods.filter(isStray));
  if (strays.length === 0) return;
  const what =
    bridge === undefined
      ? `bridge "${config.bridge}" is gone, which had the ports`
      : `these are no ports of bridge "${config.bridge}":`;
  yield limited(
    `Pods of network "${network}" are cut off: ${what} ${describeEnds(strays)}`,
    'delete these pods (ip link show tells whose interfaces they are), and look for what changed the bridge: its configuration, a network manager, a script',
  );
}

function* checkGateway(host: Netlink, { config, json }: BridgeCall): Findings {
  const name = gatewayLinkName(config);
  const link = getLink(host, name);
  const present = link === undefined ? [] : listAddresses(host, link);
  const global = present.filter(({ isGlobal }) => isGlobal).map(({ prefix }) => prefix);
  const expected = configuredGateways(config, json);
  const missing = expected.find((set) => !set.some((one) => global.some((its) => its.equals(one))));
  if (missing !== undefined || global.length === 0) {
    const address =
      missing === undefined ? 'an address' : `the gateway's address ${missing.join(' or ')}`;
    yield limited(
      `"${name}" does not have ${address}: its pods reach nothing outside of their subnet`,
      `it has ${global.join(', ') || 'none'}. The next ADD gives it the address, or: ip addr add ${missing?.[0] ?? 'ADDRESS/BITS'} dev ${name}`,
    );
  }
  const families = expected.flatMap((set) => set.map(({ family }) => family));
  yield* checkForwarding(families.length > 0 ? families : global.map(({ family }) => family));
}
