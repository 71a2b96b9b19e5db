/** Marks on interfaces of the host: the alias says whose an interface is, and how to tell that its container is gone. */
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { evidenceOf, provesGone } from '#lib/cni/evidence.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { deleteLink, type Link, listLinks, setLinkAlias } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { commentPrefix, networkTag, ownerComment } from './owner.ts';

/** What the kernel takes of an alias, less its zero byte. */
const ALIAS_BYTES = 254;

/** Between whose it is and the evidence: no name holds a blank. */
const SEPARATOR = '; ';

/** Says whose an interface is; an interface can't be made with an alias. @throws NetlinkError, SysError */
export function markLink(host: Netlink, link: Link, owner: Attachment): void {
  const who = ownerComment(owner);
  const room = ALIAS_BYTES - Buffer.byteLength(who + SEPARATOR);
  const evidence = evidenceOf(owner.netns, room);
  setLinkAlias(host, link, evidence === '' ? who : `${who}${SEPARATOR}${evidence}`);
}

/** Whether an interface is marked as a network's. */
export const isOfNetwork = ({ alias }: Link, network: string): boolean =>
  alias?.startsWith(`${networkTag(network)}-`) === true;

/** Whether an interface is marked as an attachment's. */
export const isMarkedFor = ({ alias }: Link, owner: Attachment): boolean =>
  alias?.startsWith(commentPrefix(owner)) === true;

/**
 * Deletes the interfaces of a kind that are marked as those of a network's attachments which are not valid; if nobody says which are, of
 * those that are provably gone. @throws AggregateError
 */
export function deleteStaleLinks(host: Netlink, wanted: string, { network, valid }: GcScope): void {
  const keep = valid?.map((key) => commentPrefix({ ...key, network, netns: undefined }));
  const isStale = ({ alias = '' }: Link): boolean =>
    keep === undefined
      ? provesGone(alias.slice(alias.indexOf(SEPARATOR) + SEPARATOR.length))
      : !keep.some((prefix) => alias.startsWith(prefix));
  const own = listLinks(host).filter((link) => link.kind === wanted && isOfNetwork(link, network));
  cleanUp(...own.map((link) => () => isStale(link) && deleteLink(host, link.index)));
}
