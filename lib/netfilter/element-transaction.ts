/** Elements of pods in the tables of ours: added with whatever they stand in, taken out with what only they needed. */
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { deleteFromIndex, type IndexKey, isIndexEmpty, listIndex } from './owner-index.ts';

/** How often a call starts again because another changed the tables in between. */
const RACE_LIMIT = 10;

/** What an ADD sends: most often the elements are enough. */
export interface Transaction {
  readonly elements: () => readonly Request[];
  /** All that the elements stand in: right to repeat. */
  readonly structure: () => readonly Request[];
  /** Whether its rules are there. Maps and tables need not be asked for: without them the elements are refused. */
  readonly isWhole: () => boolean;
  /** Takes out what stands at the elements' keys, or refuses by throwing. */
  readonly clear: () => readonly Request[];
}

/** Adds elements, with what they stand in if that is missing, in one transaction. @throws NetlinkError and what clear throws */
export function commitElements(nftables: Nftables, transaction: Transaction): void {
  // Asked for first: a transaction that is refused takes the kernel ten times as long as one that is carried out.
  const missing = transaction.isWhole() ? [] : transaction.structure();
  let requests = [...missing, ...transaction.elements()];
  for (let tries = 1; ; tries += 1) {
    try {
      nftables.commit(requests);
      return;
    } catch (error) {
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT', 'EEXIST')) throw error;
      // ENOENT: a table of an older release, or another's last DEL was quicker. EEXIST: left by an earlier owner.
      const cleared = isNetlinkError(error, 'EEXIST') ? transaction.clear() : [];
      requests = [...transaction.structure(), ...cleared, ...transaction.elements()];
    }
  }
}

/** What goes with entries of the index: elements of other maps, and the chains that these lead to, each as often as one does. */
export interface Removal {
  readonly requests: readonly Request[];
  readonly chains: readonly string[];
}

/**
 * Takes an attachment's elements out of a table, with the chains that only they led to, in one transaction: a DEL that dies has done
 * all of it or nothing. With the last chain `table.rest`, which deletes the table if it is empty. `removalOf` is asked anew whenever
 * another call changed the tables in between. @returns whether there were any. @throws NetlinkError
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
      // Of two last DELs at once each saw the other's elements: the second to get here sees none.
      const late = chains.areAll ? chains : deleteUnused(nftables, table, removal.chains, 0);
      if (!chains.areAll) nftables.delete(late.requests, { unlessUsed: true });
      if (chains.requests.length + late.requests.length > 0 || removal.chains.length === 0) {
        nftables.delete(rest, { unlessUsed: true });
      }
      return true;
    } catch (error) {
      // Another DEL of the same pod was quicker, or an ADD that leads to one of the chains.
      if (tries === RACE_LIMIT || !isNetlinkError(error, 'ENOENT', 'EBUSY')) throw error;
    }
  }
}

/**
 * The requests that delete the chains which nothing but these elements leads to (each still does, or 0: none any more), and those
 * which nothing but these chains does; and whether no chain that they lead to is kept.
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
  // A chain's targets come after it: a map is walked with what is added on the way.
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

/** Finishes what a DEL began that died after its elements were gone: deletes the table if it is empty. @throws NetlinkError */
export function deleteIfEmpty(
  nftables: Nftables,
  { table, rest }: { readonly table: Table; readonly rest: readonly Request[] },
): void {
  if (nftables.hasTable(table) && isIndexEmpty(nftables, table)) {
    nftables.delete(rest, { unlessUsed: true });
  }
}
