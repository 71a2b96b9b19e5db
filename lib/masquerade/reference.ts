/** What the reference plugins' nftables backend leaves: one rule an address, known by its comment. */
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

/** Deletes the rules of a network's attachments that are not valid; without evidence, the others can't be told. @throws AggregateError */
export function gcReferenceRules(nftables: Nftables, scope: GcScope): void {
  const isStale = staleness(scope, commentPrefix);
  deleteRules(
    nftables,
    ({ comment = '' }) => isInNetwork(comment, scope) && isStale(prefixIn(comment), () => false),
  );
}

function deleteRules(nftables: Nftables, isDoomed: (rule: ListedRule) => boolean): void {
  const doomed = nftables.listRules(TABLE, CHAIN).filter(isDoomed);
  const requests = doomed.map(({ handle }) => nft.deleteRules(TABLE, CHAIN, handle));
  cleanUp(...requests.map((request) => () => nftables.delete([request])));
}
