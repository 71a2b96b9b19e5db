/** Port mappings by nf_tables: neither packets nor calls get slower with their number. */
import { type Address, FAMILIES } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { RunStep } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import type { IndexKey } from '#lib/netfilter/owner-index.ts';
import {
  commitElements,
  deleteElements,
  deleteIfEmpty,
} from '#lib/netfilter/element-transaction.ts';
import { entryEvidence, indexKey, listStale } from '#lib/ownership/attachment-index.ts';
import { commentPrefix } from '#lib/ownership/owner.ts';
import { addConditions } from './conditions.ts';
import type { PortmapConfig } from './config.ts';
import { addElements, type Entry, entryOf, presentAt, presentOf } from './element.ts';
import type { Forward } from './forward.ts';
import { isOfContainer, listDeadOwners, makeRoom } from './port-owner.ts';
import { addPod, findOwner, forgetPod, listPods } from './pods.ts';
import { deleteEmpty, type Policy, structure, TABLES, workingChains } from './tables.ts';

/**
 * Adds mappings, in one transaction. @throws CniError if a live container owns one of the ports;
 * NetlinkError
 */
export function addMappings(
  nftables: Nftables,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  const entries = wanted.map((forward) => entryOf(owner, forward, config));
  const policies = policiesOf(entries);
  const evidence = entryEvidence(owner);
  // Mappings of another interface of the same container lead to it already.
  let shared: ReadonlySet<Entry> = new Set<Entry>();
  commitElements(nftables, {
    elements: () => {
      const own = entries.filter((entry) => !shared.has(entry));
      return [
        ...FAMILIES.flatMap((family) =>
          own
            .filter((entry) => entry.forward.family === family)
            .flatMap((entry, number) => addElements(owner, entry, number, evidence)),
        ),
        ...distinct(own.map(({ forward }) => forward.pod.address)).map((pod) => addPod(owner, pod)),
      ];
    },
    structure: () => policies.flatMap(structure),
    isWhole: () => areWhole(nftables, policies),
    clear: () => {
      const cleared = makeRoom(nftables, owner, entries);
      ({ shared } = cleared);
      return cleared.requests;
    },
  });
  // After the elements: DEL finds by them a chain that the nft program fills.
  for (const policy of policies) addConditions(nftables, policy);
}

const policiesOf = (entries: readonly Entry[]): Policy[] =>
  distinct(
    entries.map(({ policy }) => policy),
    ({ family, entry }) => `${family} ${entry}`,
  );

/** Whether packets to the policies' host ports reach the rules that translate. */
const areWhole = (nftables: Nftables, policies: readonly Policy[]): boolean =>
  FAMILIES.every((family) => {
    const own = policies.filter((policy) => policy.family === family);
    if (own.length === 0) return true;
    const ruled = nftables.listRuledChains(TABLES[family]);
    return own.flatMap(workingChains).every((chain) => ruled.has(chain));
  });

/** Whether the rule that the nft program makes is gone. */
const lacksConditions = (nftables: Nftables, { family, entry, conditions }: Policy): boolean =>
  conditions.length > 0 && nftables.listRules(TABLES[family], entry).length === 0;

/**
 * Makes room for mappings by another backend: deletes the mappings of this attachment, and those of
 * dead containers that own one of the ports. @throws CniError if a live container owns one of the
 * ports
 */
export function clearPorts(
  nftables: Nftables,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  const entries = wanted.map((forward) => entryOf(owner, forward, config));
  for (const key of [indexKey(owner), ...listDeadOwners(nftables, owner, entries)]) {
    deleteOwned(nftables, key, false);
  }
}

/**
 * Deletes the mappings to addresses that have a new owner: their network gave them out again, so
 * that the former owner is gone. @throws NetlinkError
 */
export function releaseReused(
  nftables: Nftables,
  owner: Attachment,
  addresses: readonly Address[],
): void {
  const own = indexKey(owner);
  for (const address of addresses) {
    const former = findOwner(nftables, own.network, address);
    if (former !== undefined && former.attachment !== own.attachment) {
      deleteOwned(nftables, former, false);
    }
  }
}

/**
 * Deletes the mappings of an attachment; absence is accepted. If they were expected, an earlier DEL
 * may have died: the empty table that it left is deleted too. @returns the pod addresses that they
 * led to
 * @throws NetlinkError
 */
export const deleteMappings = (
  nftables: Nftables,
  owner: Attachment,
  areExpected: boolean,
): Address[] => deleteOwned(nftables, indexKey(owner), areExpected);

function deleteOwned(nftables: Nftables, owner: IndexKey, areExpected: boolean): Address[] {
  const pods = new Map<string, Address>();
  for (const family of FAMILIES) {
    const table = { table: TABLES[family], rest: deleteEmpty(TABLES[family]) };
    const found = deleteElements(nftables, table, owner, (indexed) => {
      const present = indexed.map((entry) => presentOf(nftables, family, owner, entry));
      const targets = present.flatMap((elements) => elements?.target?.address ?? []);
      // If somebody deleted a target, only the list of all pods tells the address.
      const areAll = targets.length === indexed.length;
      const led = distinct([...targets, ...(areAll ? [] : listPods(nftables, family, owner))]);
      for (const pod of led) pods.set(String(pod), pod);
      return {
        requests: [
          ...present.flatMap((elements) => elements?.removal ?? []),
          ...led.flatMap((pod) => forgetPod(nftables, owner, pod)),
        ],
        chains: present.flatMap((elements) => elements?.verdict?.chain ?? []),
      };
    });
    if (!found && areExpected) deleteIfEmpty(nftables, table);
  }
  return [...pods.values()];
}

/**
 * Deletes the mappings of a network's attachments that a GC is to collect, each as a step.
 * @returns the pod addresses that they led to
 */
export const gcMappings = (nftables: Nftables, scope: GcScope, run: RunStep): Address[] =>
  FAMILIES.flatMap((family) => {
    const table = TABLES[family];
    const stale = run(() => listStale(nftables, table, scope)) ?? [];
    const pods = stale.flatMap((key) => run(() => deleteOwned(nftables, key, false)) ?? []);
    run(() => deleteIfEmpty(nftables, { table, rest: deleteEmpty(table) }));
    return pods;
  });

/** The mappings, of those given, that do not work as they should. @throws NetlinkError */
export const missingMappings = (
  nftables: Nftables,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): Forward[] =>
  wanted.filter((forward) => {
    const entry = entryOf(owner, forward, config);
    const { verdict, target } = presentAt(nftables, forward.family, entry);
    if (verdict === undefined || target === undefined) return true;
    if (!areWhole(nftables, [entry.policy]) || lacksConditions(nftables, entry.policy)) return true;
    if (!verdict.comment?.startsWith(commentPrefix(owner))) return !isOfContainer(verdict, owner);
    return !(
      verdict.chain === entry.policy.entry &&
      target.port === forward.containerPort &&
      target.address.equals(forward.pod.address)
    );
  });
