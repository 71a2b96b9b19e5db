/** Map `pods`: whose mappings lead to an address. What is given out again must lead to its new owner alone. */
import { Address, type Family } from '#lib/addr/address.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { Request } from '#lib/net/netlink.ts';
import { nft } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  decodeIndexKey,
  encodeIndexKey,
  indexKey,
  type IndexKey,
} from '#lib/netfilter/attachment-index.ts';
import { PODS, TABLES } from './tables.ts';

/** Each address once. */
export const distinct = (addresses: readonly Address[]): Address[] => [
  ...new Map(addresses.map((address) => [String(address), address])).values(),
];

/** Remembers the owner of the mappings that lead to an address. */
export const addPod = (owner: Attachment, address: Address): Request =>
  nft.addElement(TABLES[address.family], PODS, {
    key: address.toBytes(),
    value: encodeIndexKey(indexKey(owner)),
  });

/** Whose mappings lead to an address. @throws NetlinkError */
export function findHolder(nftables: Nftables, address: Address): IndexKey | undefined {
  const element = nftables.getElement(TABLES[address.family], PODS, address.toBytes());
  return element?.value && decodeIndexKey(element.value);
}

const isSame = (a: IndexKey, b: IndexKey): boolean =>
  a.network === b.network && a.attachment === b.attachment;

/** The addresses that the mappings of a holder lead to, by asking for everybody's. @throws NetlinkError */
export const listPods = (nftables: Nftables, family: Family, holder: IndexKey): Address[] =>
  nftables
    .listElements(TABLES[family], PODS)
    .filter(({ value }) => value && isSame(decodeIndexKey(value), holder))
    .map(({ key }) => Address.fromBytes(key));

/** Forgets whose the mappings to an address are; with `holder` only if they are its. @throws NetlinkError */
export function forgetPod(nftables: Nftables, address: Address, holder?: IndexKey): Request[] {
  const standing = findHolder(nftables, address);
  if (standing === undefined) return [];
  if (holder !== undefined && !isSame(standing, holder)) return [];
  return [nft.deleteElement(TABLES[address.family], PODS, address.toBytes())];
}
