/**
 * The veth pair that joins a container to the host: making it under a free name, finding its end on
 * the host again.
 */
import type { Mac } from '#lib/addr/mac.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import type { Result, ResultInterface } from '#lib/cni/result.ts';
import { deleteLink, getLink, type Link, listLinks } from '#lib/net/link.ts';
import { isNetlinkError, type Netlink } from '#lib/net/netlink.ts';
import { addLink, type LinkSettings } from '#lib/net/new-link.ts';
import { randomMac, randomVethName, VETH } from '#lib/net/veth.ts';
import { isMarkedFor, markLink } from '#lib/ownership/link-mark.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { trySysctl } from '#lib/sys/sysctl.ts';
import type { Container } from './configure.ts';

/** How many random names are tried for the host's end: one in four billion is taken. */
const NAME_TRIES = 10;

/** Both ends of a pair: the host's, up, and the container's interface, down. */
export interface VethPair {
  readonly hostEnd: Link;
  readonly link: Link;
}

/**
 * Where the container's end goes: its namespace, a socket there, whose it is, the hardware address
 * asked for.
 */
export interface ContainerEnd extends Omit<Container, 'link'> {
  readonly netns: Netns;
  readonly owner: Attachment;
  readonly mac?: Mac | undefined;
}

/** Settings of the host's end: the bridge that it is a port of, if any, and its MTU. */
interface HostEnd {
  readonly master?: Link;
  readonly mtuBytes: number | undefined;
}

/** A container can have each interface once. @throws CniError if this one is there */
export function refuseExisting(container: Netlink, { ifName, netns }: Attachment): void {
  const present = getLink(container, ifName);
  if (present === undefined) return;
  throw new CniError(
    CODE.INTERNAL,
    `container veth name ("${ifName}") already exists`,
    `in namespace "${netns}" there is a ${present.kind ?? 'device'} of this name. If an ADD made it, this one's or another network's, ` +
      `a DEL takes it away; else give this network another CNI_IFNAME`,
  );
}

/** Makes the pair; `undo` deletes it. @throws CniError */
export function connectContainer(
  host: Netlink,
  end: ContainerEnd,
  near: HostEnd,
  undo: DisposableStack,
): VethPair {
  const { mtuBytes } = near;
  const far = { name: end.owner.ifName, mac: end.mac ?? randomMac(), netns: end.netns, mtuBytes };
  const name = step('failed to make veth pair', () => addPair(host, far, near, undo));
  // The host is no host of the containers' network: their router advertisements are not for it.
  trySysctl(`net/ipv6/conf/${name}/accept_ra`, '0');
  return { hostEnd: requireLink(host, name), link: requireLink(end.rtnl, end.owner.ifName) };
}

/**
 * Marks the host's end as the attachment's: from then on STATUS takes it for a pod's.
 * @throws CniError
 */
export function markHostEnd(host: Netlink, hostEnd: Link, owner: Attachment): void {
  step(`failed to mark "${hostEnd.name}"`, () => markLink(host, hostEnd, owner));
}

function addPair(
  host: Netlink,
  peer: LinkSettings,
  { mtuBytes, master }: HostEnd,
  undo: DisposableStack,
): string {
  for (let tries = 1; ; tries += 1) {
    const name = randomVethName();
    let isOurs = true;
    // If the reply is lost, the kernel may still have acted: the undo comes first.
    undo.defer(() => isOurs && deleteLink(host, name));
    try {
      addLink(host, { kind: VETH, name, mac: randomMac(), mtuBytes, isUp: true, master, peer });
      return name;
    } catch (error) {
      if (!isNetlinkError(error, 'EEXIST')) throw error;
      isOurs = false;
      if (tries === NAME_TRIES) {
        const message = `container veth name ("${peer.name}") peer provided ("${name}") already exists`;
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

/**
 * Without the container's end, the host's end is deleted: the result knows its name, or its mark
 * tells it. Absence is accepted.
 * @throws NetlinkError
 */
export function deleteStrayVeth(
  host: Netlink,
  owner: Attachment,
  prevResult: Result | undefined,
): void {
  for (const { name, mac, sandbox } of prevResult?.interfaces ?? []) {
    const link = sandbox || mac === undefined ? undefined : getLink(host, name);
    if (link?.kind === VETH && link.mac === mac && isHostEndName(name))
      deleteLink(host, link.index);
  }
  const marked = listLinks(host).filter((link) => link.kind === VETH && isMarkedFor(link, owner));
  for (const { index } of marked) deleteLink(host, index);
}

/** As the reference plugins and ours name them: the gateway of a VLAN is a veth too, and stays. */
const isHostEndName = (name: string): boolean => /^veth[0-9a-f]{8}$/.test(name);

/** How a result describes an interface; one in a container gets its `sandbox` added. */
export const describeLink = ({ name, mac, mtuBytes }: Link): ResultInterface => ({
  name,
  mac,
  mtu: mtuBytes,
});
