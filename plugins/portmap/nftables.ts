/** Port mappings by nf_tables: neither packets nor calls get slower with their number. */
import type { Address } from '#lib/addr/address.ts';
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import type { Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { indexKey, type IndexKey, listStale } from '#lib/netfilter/attachment-index.ts';
import {
  commitElements,
  deleteElements,
  deleteUnused,
} from '#lib/netfilter/element-transaction.ts';
import { commentPrefix } from '#lib/netfilter/owner.ts';
import { addConditions } from './conditions.ts';
import type { PortmapConfig } from './config.ts';
import { addElements, entryOf, heldBy, standingAt } from './element.ts';
import { FAMILIES, type Forward } from './forward.ts';
import { clearHolders } from './holder.ts';
import { deleteEmpty, structure, TABLES, workingChains } from './tables.ts';

/** Adds mappings, in one transaction. @throws CniError if a live container holds one of the ports; NetlinkError */
export function addMappings(
  nftables: Nftables,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  const entries = wanted.map((forward) => entryOf(owner, forward, config));
  const policies = [
    ...new Map(entries.map(({ policy }) => [`${policy.family} ${policy.entry}`, policy])).values(),
  ];
  commitElements(nftables, {
    elements: FAMILIES.flatMap((family) =>
      entries
        .filter(({ forward }) => forward.family === family)
        .flatMap((entry, number) => addElements(owner, entry, number)),
    ),
    structure: () => {
      for (const policy of policies) addConditions(policy);
      return policies.flatMap(structure);
    },
    clear: () => clearHolders(nftables, owner, entries),
  });
}

/** Deletes the mappings of an attachment; none is accepted. @returns the pod addresses that they led to. @throws NetlinkError */
export const deleteMappings = (nftables: Nftables, owner: Attachment): Address[] =>
  deleteHolder(nftables, indexKey(owner));

function deleteHolder(nftables: Nftables, holder: IndexKey): Address[] {
  return FAMILIES.flatMap((family) => {
    const table = TABLES[family];
    const chains = new Set<string>();
    const pods = new Map<string, Address>();
    const gone = deleteElements(nftables, table, holder, (indexed) => {
      const held = heldBy(nftables, family, holder, indexed);
      if (held?.verdict?.chain !== undefined) chains.add(held.verdict.chain);
      if (held?.target !== undefined) pods.set(String(held.target.address), held.target.address);
      return held?.removal ?? [];
    });
    if (gone.length > 0)
      deleteUnused(nftables, table, withTargets(nftables, table, chains), deleteEmpty(table));
    return [...pods.values()];
  });
}

/** A chain of conditions leads to the one that translates. */
const withTargets = (nftables: Nftables, table: Table, chains: ReadonlySet<string>): string[] => [
  ...chains,
  ...[...chains].flatMap((chain) =>
    nftables.listRules(table, chain).flatMap((rule) => rule.targets),
  ),
];

/** Deletes the mappings of all attachments of a network but the valid ones. @throws NetlinkError */
export function gcMappings(
  nftables: Nftables,
  network: string,
  valid: readonly AttachmentKey[],
): void {
  for (const family of FAMILIES) {
    for (const key of listStale(nftables, TABLES[family], network, valid)) {
      deleteHolder(nftables, key);
    }
  }
}

/** The mappings, of those given, that do not work as they should. @throws NetlinkError */
export function missingMappings(
  nftables: Nftables,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): Forward[] {
  return wanted.filter((forward) => {
    const entry = entryOf(owner, forward, config);
    const { policy } = entry;
    const table = TABLES[forward.family];
    const { verdict, target } = standingAt(nftables, forward.family, entry);
    const works = workingChains(policy).every(
      (chain) => nftables.listRules(table, chain).length > 0,
    );
    return !(
      works &&
      verdict?.chain === policy.entry &&
      verdict.comment?.startsWith(commentPrefix(owner)) &&
      target?.port === forward.containerPort &&
      target.address.equals(forward.pod.address)
    );
  });
}
