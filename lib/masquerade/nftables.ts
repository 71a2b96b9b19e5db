/**
 * Masquerading with nf_tables: one element per pod address in a verdict map, so that neither
 * packets nor calls get slower with the number of pods. In each family's table:
 *
 *   map pods         pod address -> goto the chain of its network's policy
 *   map attachments  owner -> pod address, with the evidence about the owner
 *   chain postrouting, the hook: ip saddr vmap @pods
 *   chain net-NETWORK-DIGEST, a policy: exempt destinations return, the rest is masqueraded
 */
import { type Address, FAMILIES, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { everyStep } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Request } from '#lib/net/netlink.ts';
import {
  loadAddress,
  lookupVerdict,
  masquerade,
  matchPrefix,
  verdict,
} from '#lib/net/nft-expression.ts';
import { DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  addIndex,
  addToIndex,
  deleteEmptyIndex,
  deleteFromIndex,
  type IndexKey,
  listIndex,
} from '#lib/netfilter/owner-index.ts';
import {
  commitElements,
  deleteElements,
  deleteIfEmpty,
} from '#lib/netfilter/element-transaction.ts';
import { entryEvidence, indexKey, isOwner, listStale } from '#lib/ownership/attachment-index.ts';
import { commentPrefix, ownerComment, policyChain } from '#lib/ownership/owner.ts';
import { exemptions, type MasqueradePolicy, MULTICAST } from './policy.ts';

/** Tables of our own: the reference plugins make theirs anew on every ADD. */
const TABLES = {
  4: { family: 'ip', name: 'cni_masquerade' },
  6: { family: 'ip6', name: 'cni_masquerade' },
} as const satisfies Record<Family, Table>;

/**
 * The count of a table without pods: two maps and the hook's chain. A pod needs a policy's chain
 * too.
 */
const EMPTY_TABLE_USE = 3;

const COMMENT = 'CNI pods whose traffic is masqueraded';
const PODS = 'pods';
const POSTROUTING = 'postrouting';

/** linux/netfilter_ipv4.h: NF_IP_PRI_NAT_SRC */
const SRCNAT = 100;

/** One address of a pod, with its place in the tables. */
interface Entry {
  readonly table: Table;
  readonly family: Family;
  readonly address: Address;
  /** Among the addresses of its family. */
  readonly number: number;
  readonly exempt: readonly Prefix[];
  readonly chain: string;
}

function entries(
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): Entry[] {
  return FAMILIES.flatMap((family) =>
    addresses
      .filter((address) => address.family === family)
      .map((address, number) => {
        const exempt = exemptions(address, policy);
        const chain = policyChain(owner, exempt.join(' '));
        return { table: TABLES[family], family, address: address.address, number, exempt, chain };
      }),
  );
}

/** Masquerades a pod's addresses; may be repeated. @throws NetlinkError */
export function addMasquerade(
  nftables: Nftables,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): void {
  const wanted = entries(owner, addresses, policy);
  const evidence = entryEvidence(owner);
  commitElements(nftables, {
    elements: () => wanted.flatMap((entry) => elements(owner, entry, evidence)),
    structure: () => wanted.flatMap(structure),
    isWhole: () => areWhole(nftables, wanted),
    // An earlier owner of the address, or an ADD of ours that died, may have left elements.
    clear: () => wanted.flatMap((entry) => removals(nftables, owner, entry)),
  });
}

const elements = (
  owner: Attachment,
  { table, number, address, chain }: Entry,
  evidence: { comment?: string },
): Request[] => {
  const comment = ownerComment(owner);
  const key = address.toBytes();
  return [
    addToIndex(table, indexKey(owner), number, { value: key, ...evidence }),
    nft.addElement(table, PODS, { key, value: { code: 'goto', chain }, comment }),
  ];
};

/** The requests that delete the elements at the keys of an entry. */
function removals(nftables: Nftables, owner: Attachment, entry: Entry): Request[] {
  const { table, number, address } = entry;
  const remembered = listIndex(nftables, table, indexKey(owner))[number];
  const pod = nftables.getElement(table, PODS, address.toBytes());
  return [
    ...(remembered === undefined ? [] : [deleteFromIndex(table, remembered)]),
    ...(pod === undefined ? [] : [nft.deleteElement(table, PODS, pod.key)]),
  ];
}

/**
 * The requests for table, maps, hook and policy chain. Rules are flushed and made again in the same
 * transaction.
 */
function structure({ table, family, exempt, chain }: Entry): Request[] {
  const addressType = DATA_TYPES[TABLES[family].family];
  const returns = [...exempt, MULTICAST[family]].map((prefix) => [
    ...matchPrefix('daddr', prefix),
    verdict({ code: 'return' }),
  ]);
  return [
    nft.addTable(table, COMMENT),
    nft.addMap(table, PODS, { key: addressType, value: DATA_TYPES.verdict }),
    addIndex(table, addressType),
    nft.addChain(table, POSTROUTING, { type: 'nat', hook: 'postrouting', priority: SRCNAT }),
    nft.deleteRules(table, POSTROUTING),
    nft.addRule(table, POSTROUTING, [loadAddress('saddr', family), lookupVerdict(PODS)]),
    nft.addChain(table, chain),
    nft.deleteRules(table, chain),
    ...[...returns, [masquerade()]].map((expressions) => nft.addRule(table, chain, expressions)),
  ];
}

/**
 * Ends the masquerading of an attachment; absence is accepted. If it was expected, an earlier DEL
 * may have died: the empty table that it left is deleted too. @throws NetlinkError
 */
export function deleteMasquerade(nftables: Nftables, owner: Attachment, isExpected: boolean): void {
  for (const family of FAMILIES) {
    const table = TABLES[family];
    const found = deletePods(nftables, table, indexKey(owner));
    if (!found && isExpected && nftables.tableUse(table) === EMPTY_TABLE_USE) {
      deleteIfEmpty(nftables, { table, rest: deleteEmpty(table) });
    }
  }
}

/** Whether packets from the entries' addresses reach the rules of their policies. */
const areWhole = (nftables: Nftables, wanted: readonly Entry[]): boolean =>
  FAMILIES.every((family) => {
    const own = wanted.filter((entry) => entry.family === family);
    if (own.length === 0) return true;
    const ruled = nftables.listRuledChains(TABLES[family]);
    return ruled.has(POSTROUTING) && own.every(({ chain }) => ruled.has(chain));
  });

/**
 * Deletes an owner's addresses, except those of another owner by now, and the chains that no pod
 * needs. @returns whether there were any
 */
function deletePods(nftables: Nftables, table: Table, key: IndexKey): boolean {
  return deleteElements(nftables, { table, rest: deleteEmpty(table) }, key, (indexed) => {
    const pods = indexed
      .flatMap(({ value }) => nftables.getElement(table, PODS, value ?? new Uint8Array()) ?? [])
      .filter(({ comment }) => isOwner(comment, key));
    return {
      requests: pods.map((pod) => nft.deleteElement(table, PODS, pod.key)),
      chains: pods.flatMap(({ chain }) => chain ?? []),
    };
  });
}

/** Deletes a table; refused with EBUSY while there are pods. */
const deleteEmpty = (table: Table): Request[] => [
  nft.deleteRules(table),
  nft.deleteEmptySet(table, PODS),
  deleteEmptyIndex(table),
  nft.deleteTable(table),
];

/**
 * Ends the masquerading of a network's attachments that a GC is to collect. @throws AggregateError
 */
export function gcMasquerade(nftables: Nftables, scope: GcScope): void {
  everyStep((run) => {
    for (const table of FAMILIES.map((family) => TABLES[family])) {
      const stale = run(() => listStale(nftables, table, scope)) ?? [];
      for (const key of stale) run(() => deletePods(nftables, table, key));
      run(() => deleteIfEmpty(nftables, { table, rest: deleteEmpty(table) }));
    }
  });
}

/** The addresses, of those given, that are not masqueraded as the policy wants it. */
export function missingMasquerade(
  nftables: Nftables,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): Address[] {
  return entries(owner, addresses, policy)
    .filter((entry) => {
      const { table, address, chain } = entry;
      const pod = nftables.getElement(table, PODS, address.toBytes());
      return !(
        areWhole(nftables, [entry]) &&
        pod?.chain === chain &&
        pod.comment?.startsWith(commentPrefix(owner))
      );
    })
    .map(({ address }) => address);
}
