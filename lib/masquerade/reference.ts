/**
 * Rules of the reference plugins' nftables backend: one an address, whose comment names the owner.
 */
import type { Owner } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { ListedRule } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { commentPrefix, isInNetwork, prefixIn } from '#lib/ownership/owner.ts';
import { staleness } from '#lib/ownership/staleness.ts';

const TABLE: Table = { family: 'inet', name: 'cni_plugins_masquerade' };
const CHAIN = 'masq_checks';

/** Deletes the rules of an attachment; none is accepted. @throws AggregateError */
export const deleteReferenceRules = (nftables: Nftables, owner: Owner): void =>
  deleteRules(nftables, ({ comment }) => comment?.startsWith(commentPrefix(owner)) === true);

/**
 * Deletes the rules of the network's attachments that are not valid. Without a list all stay: they
 * carry no evidence. @throws AggregateError
 */
export function gcReferenceRules(nftables: Nftables, scope: GcScope): void {
  const isStale = staleness(scope, commentPrefix);
  deleteRules(
    nftables,
    ({ comment = '' }) => isInNetwork(comment, scope) && isStale(prefixIn(comment), () => false),
  );
}

function deleteRules(nftables: Nftables, isUnwanted: (rule: ListedRule) => boolean): void {
  const unwanted = nftables.listRules(TABLE, CHAIN).filter(isUnwanted);
  const requests = unwanted.map(({ handle }) => nft.deleteRules(TABLE, CHAIN, handle));
  cleanUp(...requests.map((request) => () => nftables.delete([request])));
}
