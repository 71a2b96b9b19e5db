/** The container's port of the bridge: a veth pair, its VLANs and options, and waiting until it forwards. */
import type { Mac } from '#lib/addr/mac.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import type { Container } from '#lib/ipam/apply.ts';
import {
  addPortVlans,
  deletePortVlans,
  isActive,
  listPortVlans,
  type PortVlan,
  setPortOptions,
} from '#lib/net/bridge.ts';
import { deleteLink, getLink, type Link } from '#lib/net/link.ts';
import { isNetlinkError, type Netlink } from '#lib/net/netlink.ts';
import { addVeth, type VethEnd } from '#lib/net/veth.ts';
import { poll } from '#lib/sys/clock.ts';
import { random } from '#lib/sys/digest.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { trySysctl } from '#lib/sys/sysctl.ts';
import { type BridgeConfig, randomMac, usesVlans } from './config.ts';

/** How many random names are tried for the host's end: one in four billion is taken. */
const NAME_TRIES = 10;

/** How long a new port may take until it forwards; the reference plugin waits as long. */
const FORWARDING_LIMIT_MS = 2_550;
const FORWARDING_POLL_MS = 2;

/** Both ends of the pair: a port of the bridge, and the container's interface. */
export interface Port {
  readonly port: Link;
  readonly link: Link;
}

/** "veth" and eight random digits. */
export const randomVethName = (): string => `veth${Buffer.from(random(4)).toString('hex')}`;

/** A container can have each interface once. @throws CniError if this one is there */
export function refuseExisting(container: Netlink, ifName: string): void {
  if (getLink(container, ifName) !== undefined) {
    throw new CniError(
      CODE.INTERNAL,
      `container veth name ("${ifName}") already exists`,
      'the container was added before: a DEL takes the interface away',
    );
  }
}

/** Where the container's end goes: its namespace, a socket there, its name, the hardware address asked for. */
export interface ContainerEnd extends Omit<Container, 'link'> {
  readonly netns: Netns;
  readonly ifName: string;
  readonly mac: Mac | undefined;
}

/** Joins the container to the bridge. The container's interface stays down. @throws CniError, NetlinkError */
export function connectPort(
  host: Netlink,
  end: ContainerEnd,
  bridge: Link,
  config: BridgeConfig,
  undo: DisposableStack,
): Port {
  const far = { name: end.ifName, mac: end.mac ?? randomMac(), netns: end.netns };
  const near = step('failed to make veth pair', () => addPair(host, far, bridge, config, undo));
  trySysctl(`net/ipv6/conf/${near}/accept_ra`, '0');
  const port = requireLink(host, near);
  if (config.hairpin || config.isolated) {
    step(`failed to set options of "${near}"`, () => setPortOptions(host, port, config));
  }
  if (usesVlans(config)) {
    step(`failed to set VLANs of "${near}"`, () => setVlans(host, port, config));
  }
  return { port, link: requireLink(end.rtnl, end.ifName) };
}

function addPair(
  host: Netlink,
  far: VethEnd & { netns: Netns },
  bridge: Link,
  { mtuBytes }: BridgeConfig,
  undo: DisposableStack,
): string {
  for (let tries = 1; ; tries += 1) {
    const near = { name: randomVethName(), mac: randomMac(), master: bridge };
    try {
      addVeth(host, near, far, mtuBytes);
      undo.defer(() => deleteLink(host, near.name));
      return near.name;
    } catch (error) {
      if (!isNetlinkError(error, 'EEXIST')) throw error;
      if (tries === NAME_TRIES) {
        const message = `container veth name ("${far.name}") peer provided ("${near.name}") already exists`;
        throw new CniError(CODE.INTERNAL, message);
      }
    }
  }
}

function requireLink(rtnl: Netlink, name: string): Link {
  const link = getLink(rtnl, name);
  if (link !== undefined) return link;
  throw new CniError(CODE.INTERNAL, `interface "${name}" vanished while it was being set up`);
}

/** The port's VLANs; a trunk without an access VLAN takes untagged frames into VLAN 1, as the reference has it. */
function portVlans({ vlan, trunk }: BridgeConfig): PortVlan[] {
  const access = { id: vlan === 0 ? 1 : vlan, untagged: true, pvid: true };
  const tagged = trunk.map((id) => ({ id, untagged: false, pvid: false }));
  return [access, ...tagged.filter(({ id }) => id !== access.id)];
}

function setVlans(host: Netlink, port: Link, config: BridgeConfig): void {
  if (!config.preserveDefaultVlan) deletePortVlans(host, port, listPortVlans(host, port));
  addPortVlans(host, port, portVlans(config));
}

/** Waits until the port is up and the bridge uses it, or will after its spanning tree protocol. @throws CniError with its state */
export function awaitForwarding(host: Netlink, bridge: Link, { index, name }: Link): void {
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
