/** Elements of pods in the tables of ours: added with whatever they stand in, taken out with what only they needed. */
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { deleteFromIndex, type IndexKey, listIndex } from './attachment-index.ts';

/** How often a call starts again because another changed the tables in between. */
const RACE_LIMIT = 10;

/** What an ADD sends: most often the elements are enough. */
export interface Transaction {
  readonly elements: readonly Request[];
  /** All that the elements stand in: right to repeat. */
  readonly structure: () => readonly Request[];
  /** Takes out what stands at the elements' keys, or refuses by throwing. */
  readonly clear: () => readonly Request[];
}

/** Adds elements, with what they stand in if that is missing, in one transaction. @throws NetlinkError and what clear throws */
export function commitElements(nftables: Nftables, transaction: Transaction): void {
  let requests = transaction.elements;
  for (let tries = 1; ; tries += 1) {
    try {
      nftables.commit(requests);
      return;
    } catch (error) {
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT', 'EEXIST')) throw error;
      // ENOENT: the first pod of this policy, or somebody flushed the tables. EEXIST: left by an earlier owner.
      const cleared = isNetlinkError(error, 'EEXIST') ? transaction.clear() : [];
      requests = [...transaction.structure(), ...cleared, ...transaction.elements];
    }
  }
}

/**
 * Takes an attachment's elements out of a table in one transaction; none is accepted. `removal` says what goes with an entry
 * of the index. @returns the entries that went. @throws NetlinkError
 */
export function deleteElements(
  nftables: Nftables,
  table: Table,
  key: IndexKey,
  removal: (entry: ListedElement) => readonly Request[],
): ListedElement[] {
  for (let tries = 1; ; tries += 1) {
    const entries = listIndex(nftables, table, key);
    if (entries.length === 0) return [];
    const requests = entries.flatMap((entry) => [deleteFromIndex(table, entry), ...removal(entry)]);
    try {
      nftables.commit(requests);
      return entries;
    } catch (error) {
      // Another DEL of the same pod was quicker.
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT')) throw error;
    }
  }
}

/** Deletes, in this order, the chains that nothing leads to any more, and with the last of them `rest`, if it is empty too. @throws NetlinkError */
export function deleteUnused(
  nftables: Nftables,
  table: Table,
  chains: readonly string[],
  rest: readonly Request[],
): void {
  const deleted = chains.filter(
    (chain) =>
      isUnused(nftables, table, chain) &&
      acceptUse(() =>
        nftables.commit([nft.deleteRules(table, chain), nft.deleteChain(table, chain)]),
      ),
  );
  // Without a chain to go by somebody has changed the table by hand.
  if (deleted.length > 0 || chains.length === 0) acceptUse(() => nftables.commit(rest));
}

function isUnused(nftables: Nftables, table: Table, chain: string): boolean {
  const use = nftables.chainUse(table, chain);
  return use !== undefined && use <= nftables.listRules(table, chain).length;
}

/** Another call was quicker, to delete it or to use it again: both are fine. @returns whether it was done */
function acceptUse(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (isNetlinkError(error, 'ENOENT', 'EBUSY')) return false;
    throw error;
  }
}
