/**
 * The host's ends of the interfaces that a network's pods have: by their marks, whatever became of
 * what they were joined to.
 */
import { getLink, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';

/** How many of them a sentence names. */
const NAMES_LIMIT = 5;

/**
 * Those that are there still: one that a DEL is taking away loses first what it has.
 * @throws NetlinkError
 */
export const stillThere = (host: Netlink, ends: readonly Link[]): Link[] =>
  ends.filter(({ index }) => getLink(host, index) !== undefined);

/** "veth1, veth2 and 3 more" */
export function describeEnds(ends: readonly Link[]): string {
  const names = ends.slice(0, NAMES_LIMIT).map(({ name }) => name);
  const more = ends.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
