/**
 * Marks on interfaces of the host: the alias names the owner of an interface, and holds the
 * evidence about its container.
 */
import type { Attachment, Owner } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { deleteLink, type Link, listLinks, setLinkAlias } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { evidenceOf, provesGone } from './evidence.ts';
import { commentPrefix, isInNetwork, ownerComment, prefixIn } from './owner.ts';
import { staleness } from './staleness.ts';

/** The longest alias that the kernel takes, without the zero byte. */
const ALIAS_BYTES = 254;

/** Between owner and evidence: no name has a blank in it. */
const SEPARATOR = '; ';

/**
 * Marks an interface as an attachment's. An interface can't be made with an alias.
 * @throws NetlinkError, SysError
 */
export function markLink(host: Netlink, link: Link, owner: Attachment): void {
  const who = ownerComment(owner);
  const room = ALIAS_BYTES - Buffer.byteLength(who + SEPARATOR);
  const evidence = evidenceOf(owner.netns, room);
  setLinkAlias(host, link, evidence === '' ? who : `${who}${SEPARATOR}${evidence}`);
}

/** Whether an interface is marked as an attachment's. */
export const isMarkedFor = ({ alias }: Link, owner: Owner): boolean =>
  alias?.startsWith(commentPrefix(owner)) === true;

/** The evidence in a mark; empty if there is none. */
const evidenceIn = (alias: string): string =>
  alias.includes(SEPARATOR) ? alias.slice(alias.indexOf(SEPARATOR) + SEPARATOR.length) : '';

/**
 * The interfaces of a kind that are marked as a network's. Other suites leave no mark.
 * @throws NetlinkError
 */
export const listMarkedLinks = (
  host: Netlink,
  kind: string,
  owner: Pick<Owner, 'network'>,
): Link[] =>
  listLinks(host).filter((link) => link.kind === kind && isInNetwork(link.alias ?? '', owner));

/**
 * Deletes the interfaces of a kind that are marked as a network's and that a GC is to collect.
 * @throws AggregateError
 */
export function deleteStaleLinks(host: Netlink, kind: string, scope: GcScope): void {
  const isStale = staleness(scope, commentPrefix);
  const own = listMarkedLinks(host, kind, scope);
  cleanUp(
    ...own.map(({ index, alias = '' }) => () => {
      if (isStale(prefixIn(alias), () => provesGone(evidenceIn(alias)))) deleteLink(host, index);
    }),
  );
}
