/**
 * Limiting the packets that come from a container. The kernel can't queue received packets: they
 * are redirected to an ifb interface first, whose queue limits them.
 */
import { type Mac, macFromBytes } from '#lib/addr/mac.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE, step } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { deleteLink, getLink, IFNAME_BYTES, type Link, listLinks } from '#lib/net/link.ts';
import { isNetlinkError, type Netlink } from '#lib/net/netlink.ts';
import { addLink } from '#lib/net/new-link.ts';
import {
  addIngressQdisc,
  addRedirect,
  deleteIngressQdisc,
  listFilters,
  replaceTokenBucket,
  type TokenBucket,
} from '#lib/net/qdisc.ts';
import { deleteStaleLinks, isMarkedFor, markLink } from '#lib/ownership/link-mark.ts';
import { type Container, hashedName, networkTag } from '#lib/ownership/owner.ts';
import { staleness } from '#lib/ownership/staleness.ts';

const IFB_PREFIX = 'bwp';

/** The ifb interface of a container in a network, by the reference plugin's name. */
export const ifbName = (owner: Container): string => hashedName(IFB_PREFIX, owner, IFNAME_BYTES);

/**
 * Limits the packets that come from a container by the host's end of its veth pair. @returns the
 * ifb interface. @throws CniError, NetlinkError
 */
export function limitEgress(
  host: Netlink,
  owner: Attachment,
  veth: Link,
  bucket: TokenBucket,
  undo: DisposableStack,
): Link {
  const name = ifbName(owner);
  refuseOther(host, owner, name);
  undo.defer(() => deleteLink(host, name));
  const ifb = step(`failed to create ifb "${name}"`, () => addIfb(host, name, owner, veth));
  markLink(host, ifb, owner);
  replaceTokenBucket(host, ifb, bucket);
  ensureIngressQdisc(host, veth);
  undo.defer(() => deleteIngressQdisc(host, veth));
  addRedirect(host, { from: veth, to: ifb });
  return ifb;
}

/**
 * Makes an ingress qdisc without filters. Filters of an ADD that died are deleted; those of
 * somebody else are refused.
 */
function ensureIngressQdisc(host: Netlink, veth: Link): void {
  try {
    addIngressQdisc(host, veth);
  } catch (error) {
    if (!isNetlinkError(error, 'EEXIST')) throw error;
    const isOwn = listFilters(host, veth).every(({ redirects }) =>
      redirects.some((index) => isOwnOrGone(host, index)),
    );
    if (!isOwn) {
      throw new CniError(
        CODE.INTERNAL,
        `Interface "${veth.name}" has filters for what comes in that are somebody else's`,
        `to let this plugin limit it: tc qdisc del dev ${veth.name} ingress`,
      );
    }
    deleteIngressQdisc(host, veth);
    addIngressQdisc(host, veth);
  }
}

function isOwnOrGone(host: Netlink, index: number): boolean {
  // The kernel shows a target that is gone as 0.
  const link = index === 0 ? undefined : getLink(host, index);
  return link === undefined || (link.kind === 'ifb' && link.name.startsWith(IFB_PREFIX));
}

/**
 * Two interfaces of a container in one network share the ifb's name: the second must not replace
 * the first one's ifb.
 */
function refuseOther(host: Netlink, owner: Attachment, name: string): void {
  const present = getLink(host, name);
  if (present === undefined) return;
  if (present.alias === undefined || isMarkedFor(present, owner)) {
    deleteLink(host, present.index);
    return;
  }
  throw new CniError(
    CODE.INTERNAL,
    `Cannot limit "${owner.ifName}": another interface of the container is limited in this network`,
    `"${name}" belongs to ${present.alias}`,
  );
}

/**
 * The hardware address of an ifb interface names its network: it is there from the first moment,
 * unlike the mark. Nobody uses it.
 */
const networkMac = (network: string): Mac =>
  macFromBytes([0x02, ...Buffer.from(networkTag(network).slice(0, 10), 'hex')]);

function addIfb(
  host: Netlink,
  name: string,
  { network }: Attachment,
  { mtuBytes }: Pick<Link, 'mtuBytes'>,
): Link {
  addLink(host, {
    kind: 'ifb',
    name,
    mac: networkMac(network),
    mtuBytes,
    txQueueLength: 0,
    isUp: true,
  });
  const link = getLink(host, name);
  if (link === undefined) throw new CniError(CODE.INTERNAL, `"${name}" is gone already`);
  return link;
}

/** Ends the limit of packets from a container; absence is accepted. @throws NetlinkError */
export function unlimitEgress(host: Netlink, owner: Attachment): void {
  const name = ifbName(owner);
  const present = getLink(host, name);
  // It is another interface's, or somebody else has taken the name.
  if (present?.alias !== undefined && !isMarkedFor(present, owner)) return;
  if (present?.kind === 'ifb') deleteLink(host, present.index);
}

/**
 * Deletes the ifb interfaces of the network's attachments that a GC is to collect. Those with
 * neither mark nor address of ours stay. @throws AggregateError
 */
export function gcEgress(host: Netlink, scope: GcScope): void {
  cleanUp(
    () => deleteStaleLinks(host, 'ifb', scope),
    () => deleteUnmarked(host, scope),
  );
}

/**
 * Deletes ifb interfaces that an ADD left when it died before the mark. They carry no evidence:
 * only a list of valid attachments tells.
 */
function deleteUnmarked(host: Netlink, scope: GcScope): void {
  const isStale = staleness(scope, ifbName);
  const unmarked = listLinks(host).filter(
    ({ kind, alias, name, mac }) =>
      kind === 'ifb' &&
      alias === undefined &&
      name.startsWith(IFB_PREFIX) &&
      mac === networkMac(scope.network) &&
      isStale(name, () => false),
  );
  cleanUp(
    ...unmarked.map(
      ({ index }) =>
        () =>
          void deleteLink(host, index),
    ),
  );
}
