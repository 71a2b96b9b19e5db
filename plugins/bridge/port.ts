/** The container's port of the bridge: its VLANs and options, and waiting until it forwards. */
import { CniError, CODE, step } from '#lib/cni/error.ts';
import {
  connectContainer,
  type ContainerEnd,
  markHostEnd,
  type VethPair,
} from '#lib/container-link/veth-pair.ts';
import { isActive, type PortVlan, setPortOptions } from '#lib/net/bridge.ts';
import { getLink, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { poll } from '#lib/sys/clock.ts';
import { type BridgeConfig, usesVlans } from './config.ts';
import { setPortVlans } from './vlans.ts';

/** How long a new port may take until it forwards, as in the reference plugin. */
const FORWARDING_LIMIT_MS = 2_550;
const FORWARDING_POLL_MS = 2;

/**
 * Joins the container to the bridge. The container's interface stays down. @throws CniError,
 * NetlinkError
 */
export function connectPort(
  host: Netlink,
  end: ContainerEnd,
  bridge: Link,
  config: BridgeConfig,
  undo: DisposableStack,
): VethPair {
  const { mtuBytes } = config;
  const pair = connectContainer(host, end, { master: bridge, mtuBytes }, undo);
  const port = pair.hostEnd;
  markHostEnd(host, port, end.owner);
  if (config.hairpin || config.isolated) {
    step(`failed to set options of "${port.name}"`, () => setPortOptions(host, port, config));
  }
  if (usesVlans(config)) {
    const isOnly = !config.preserveDefaultVlan;
    step(`failed to set VLANs of "${port.name}"`, () =>
      setPortVlans(host, port, portVlans(config), { isOnly }),
    );
  }
  return pair;
}

/**
 * The port's VLANs. A trunk without an access VLAN takes untagged frames into VLAN 1, as in the
 * reference plugin.
 */
function portVlans({ vlan, trunk }: BridgeConfig): PortVlan[] {
  const access = { id: vlan === 0 ? 1 : vlan, untagged: true, pvid: true };
  const tagged = trunk.map((id) => ({ id, untagged: false, pvid: false }));
  return [access, ...tagged.filter(({ id }) => id !== access.id)];
}

/**
 * Waits until the port is up, and the bridge uses it or will after its spanning tree protocol.
 * @throws CniError with its state
 */
export function awaitForwarding(
  host: Netlink,
  { bridge, port: { index, name } }: { bridge: Link; port: Link },
): void {
  let state = 'unknown';
  const forwards = poll(
    () => {
      const port = getLink(host, index);
      if (port?.master !== bridge.index) {
        const message = `"${name}" is no longer a port of bridge "${bridge.name}"`;
        throw new CniError(
          CODE.TRY_AGAIN_LATER,
          message,
          'something took the bridge away meanwhile',
        );
      }
      state = port.operState;
      return (state === 'up' && isActive(port)) || undefined;
    },
    { everyMs: FORWARDING_POLL_MS, limitMs: FORWARDING_LIMIT_MS },
  );
  if (forwards === undefined)
    throw new CniError(CODE.INTERNAL, `bridge port in error state: ${state}`);
}
