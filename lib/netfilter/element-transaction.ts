/**
 * Elements of pods in our tables: added with the structure that they need, deleted with the
 * structure that nothing else needs.
 */
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { deleteFromIndex, type IndexKey, isIndexEmpty, listIndex } from './owner-index.ts';

/** How often a call starts again because another one changed the tables in between. */
const RACE_LIMIT = 10;

/** The requests of an ADD. Most often the elements alone are enough. */
export interface Transaction {
  readonly elements: () => readonly Request[];
  /** Tables, maps, chains and rules: requests that may be repeated. */
  readonly structure: () => readonly Request[];
  /**
   * Whether the structure's rules are there. Tables and maps need no question: without them the
   * kernel refuses the elements.
   */
  readonly isWhole: () => boolean;
  /** The requests that delete the elements at these keys. Throws if they may not be deleted. */
  readonly clear: () => readonly Request[];
}

/**
 * Adds elements, with their structure if it is missing, in one transaction. @throws NetlinkError
 * and what clear throws
 */
export function commitElements(nftables: Nftables, transaction: Transaction): void {
  // Asking first saves time: the kernel takes ten times as long to refuse a transaction as to carry
  // it out.
  const missing = transaction.isWhole() ? [] : transaction.structure();
  let requests = [...missing, ...transaction.elements()];
  for (let tries = 1; ; tries += 1) {
    try {
      nftables.commit(requests);
      return;
    } catch (error) {
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT', 'EEXIST')) throw error;
      // ENOENT: the table is of an older release, or another pod's last DEL was quicker. EEXIST: an
      // earlier owner left an element.
      const cleared = isNetlinkError(error, 'EEXIST') ? transaction.clear() : [];
      requests = [...transaction.structure(), ...cleared, ...transaction.elements()];
    }
  }
}

/**
 * The requests that delete the elements of index entries from other maps, and the chains that the
 * elements lead to: a chain once for each element.
 */
export interface Removal {
  readonly requests: readonly Request[];
  readonly chains: readonly string[];
}

/**
 * Deletes an attachment's elements from a table, with the chains that only they led to, in one
 * transaction: a DEL that dies has done all of it or nothing. After the last chain it sends
 * `table.rest`, which deletes the table if it is empty. `removalOf` is called again if another call
 * changed the tables in between. @returns whether there were any elements. @throws NetlinkError
 */
export function deleteElements(
  nftables: Nftables,
  { table, rest }: { readonly table: Table; readonly rest: readonly Request[] },
  key: IndexKey,
  removalOf: (entries: readonly ListedElement[]) => Removal,
): boolean {
  for (let tries = 1; ; tries += 1) {
    const entries = listIndex(nftables, table, key);
    if (entries.length === 0) return false;
    const removal = removalOf(entries);
    const chains = deleteUnused(nftables, table, removal.chains, 1);
    const requests = [
      ...entries.map((entry) => deleteFromIndex(table, entry)),
      ...removal.requests,
    ];
    try {
      nftables.commit([...requests, ...chains.requests]);
      // If the last two DELs run at once, each may see the other's elements. The second to get here
      // sees none.
      const late = chains.areAll ? chains : deleteUnused(nftables, table, removal.chains, 0);
      if (!chains.areAll) nftables.delete(late.requests, { unlessUsed: true });
      if (chains.requests.length + late.requests.length > 0 || removal.chains.length === 0) {
        nftables.delete(rest, { unlessUsed: true });
      }
      return true;
    } catch (error) {
      // Another DEL of the same pod was quicker, or an ADD whose elements lead to one of the
      // chains.
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT', 'EBUSY')) throw error;
    }
  }
}

/**
 * The requests that delete unused chains: those that only these elements lead to, and those that
 * only such chains lead to. `leading` names a chain once for each element. `each` is 1 while the
 * elements are there, 0 when they are deleted. `areAll` tells that no chain is kept.
 */
function deleteUnused(
  nftables: Nftables,
  table: Table,
  leading: readonly string[],
  each: 0 | 1,
): { readonly requests: readonly Request[]; readonly areAll: boolean } {
  const ending = new Map<string, number>();
  const lead = (chain: string, times: number) =>
    ending.set(chain, (ending.get(chain) ?? 0) + times);
  for (const chain of leading) lead(chain, each);
  const requests: Request[] = [];
  let areAll = true;
  // The loop visits the targets of a chain too: a Map's iterator sees entries that are added on the
  // way.
  for (const [chain, fewer] of ending) {
    const rules = nftables.listRules(table, chain);
    const use = nftables.chainUse(table, chain);
    if (use === undefined) continue;
    if (use > rules.length + fewer) {
      areAll = false;
      continue;
    }
    requests.push(nft.deleteRules(table, chain), nft.deleteChain(table, chain));
    for (const { targets } of rules) for (const target of targets) lead(target, 1);
  }
  return { requests, areAll };
}

/**
 * Deletes a table if it is empty. A DEL that died after its elements were gone may have left it.
 * @throws NetlinkError
 */
export function deleteIfEmpty(
  nftables: Nftables,
  { table, rest }: { readonly table: Table; readonly rest: readonly Request[] },
): void {
  if (nftables.hasTable(table) && isIndexEmpty(nftables, table)) {
    nftables.delete(rest, { unlessUsed: true });
  }
}
