/** A port mapping as elements of nf_tables maps. */
import { Address, type Family } from '#lib/addr/address.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import { nft } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { addToIndex, type IndexKey } from '#lib/netfilter/owner-index.ts';
import { indexKey, isOwner } from '#lib/ownership/attachment-index.ts';
import { ownerComment } from '#lib/ownership/owner.ts';
import { type PortmapConfig, PROTOCOLS } from './config.ts';
import type { Forward } from './forward.ts';
import { MAPS, type Policy, policyOf, type PortMaps, TABLES } from './tables.ts';

/** The place of a mapping: its maps, and its key in them. */
interface Place {
  readonly maps: PortMaps;
  readonly key: Uint8Array;
}

/** A mapping with its place in the maps. */
export interface Entry extends Place {
  readonly forward: Forward;
  readonly policy: Policy;
  /** Pod address and container port. */
  readonly target: Uint8Array;
  /** The key with the host address, zero for all: the value of the index. */
  readonly full: Uint8Array;
}

/** The destination of a mapping. */
interface Target {
  readonly address: Address;
  readonly port: number;
}

const ADDRESS_BYTES = { 4: 4, 6: 16 } as const satisfies Record<Family, number>;

/** A port in a key: registers have four bytes. */
const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff, 0, 0);

/** The place and content of a mapping. */
export function entryOf(owner: Attachment, forward: Forward, config: PortmapConfig): Entry {
  const { family, hostAddress, protocol, hostPort, pod, containerPort } = forward;
  const address = hostAddress ?? Address.of(family, 0n);
  const port = [Uint8Array.of(PROTOCOLS[protocol], 0, 0, 0), portBytes(hostPort)];
  const full = Buffer.concat([address.toBytes(), ...port]);
  return {
    ...placeOf(full, family),
    forward,
    policy: policyOf(owner, pod, config),
    target: Buffer.concat([pod.address.toBytes(), portBytes(containerPort)]),
    full,
  };
}

/** The place that a value of the index means. */
function placeOf(full: Uint8Array, family: Family): Place {
  const isAny = full.subarray(0, ADDRESS_BYTES[family]).every((byte) => byte === 0);
  if (!isAny) return { maps: MAPS.one, key: full };
  return { maps: MAPS.any, key: full.subarray(ADDRESS_BYTES[family]) };
}

/** Makes the elements of a mapping, the `number`th of its family. */
export function addElements(
  owner: Attachment,
  entry: Entry,
  number: number,
  evidence: { comment?: string },
): Request[] {
  const { maps, key, target, full, policy } = entry;
  const table = TABLES[policy.family];
  return [
    addToIndex(table, indexKey(owner), number, { value: full, ...evidence }),
    nft.addElement(table, maps.verdicts, {
      key,
      value: { code: 'goto', chain: policy.entry },
      comment: ownerComment(owner),
    }),
    nft.addElement(table, maps.targets, { key, value: target }),
  ];
}

/** The elements at a mapping's place, of whatever owner. */
export interface PresentElements {
  readonly verdict: ListedElement | undefined;
  readonly target: Target | undefined;
  /** The requests that delete them. */
  readonly removal: readonly Request[];
}

/** The elements at a place of the maps. @throws NetlinkError */
export function presentAt(
  nftables: Nftables,
  family: Family,
  { maps, key }: Place,
): PresentElements {
  const table = TABLES[family];
  const verdict = nftables.getElement(table, maps.verdicts, key);
  const target = nftables.getElement(table, maps.targets, key);
  return {
    verdict,
    target: target && decodeTarget(target, family),
    removal: [
      ...(verdict === undefined ? [] : [nft.deleteElement(table, maps.verdicts, key)]),
      ...(target === undefined ? [] : [nft.deleteElement(table, maps.targets, key)]),
    ],
  };
}

/**
 * The elements that an entry of an owner's index stands for; undefined if they are another owner's
 * by now. @throws NetlinkError
 */
export function presentOf(
  nftables: Nftables,
  family: Family,
  owner: IndexKey,
  { value: full = new Uint8Array() }: ListedElement,
): PresentElements | undefined {
  const present = presentAt(nftables, family, placeOf(full, family));
  const { verdict } = present;
  return verdict === undefined || isOwner(verdict.comment, owner) ? present : undefined;
}

/** The target in an element; undefined if it has none. */
function decodeTarget({ value }: ListedElement, family: Family): Target | undefined {
  const bytes = ADDRESS_BYTES[family];
  if (value === undefined || value.length < bytes + 2) return undefined;
  const [high = 0, low = 0] = value.subarray(bytes);
  return { address: Address.fromBytes(value.subarray(0, bytes)), port: (high << 8) | low };
}
