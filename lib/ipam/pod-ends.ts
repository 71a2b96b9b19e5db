/** The host's ends of the interfaces that a network's pods have: by their marks, whatever became of what they were joined to. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { getLink, type Link, listLinks } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { isOfNetwork } from '#lib/ownership/link-mark.ts';

/** How many of them a sentence names. */
const NAMES_LIMIT = 5;

/** Those of a network; other suites leave no mark. @throws NetlinkError */
export const listPodEnds = (host: Netlink, network: string): Link[] =>
  listLinks(host).filter((link) => link.kind === 'veth' && isOfNetwork(link, network));

/** Those that are there still: one that a DEL is taking away loses first what it has. @throws NetlinkError */
export const stillThere = (host: Netlink, ends: readonly Link[]): Link[] =>
  ends.filter(({ index }) => getLink(host, index) !== undefined);

/** "veth1, veth2 and 3 more" */
export function describeEnds(ends: readonly Link[]): string {
  const names = ends.slice(0, NAMES_LIMIT).map(({ name }) => name);
  const more = ends.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** STATUS: pods that run may be cut off. */
export const limited = (message: string, advice: string): CniError =>
  new CniError(CODE.LIMITED_CONNECTIVITY, message, advice);
