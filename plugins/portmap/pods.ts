/** Map `owners`: whose mappings lead to an address of a network. What the network gives out again must lead to its new owner alone. */
import { Address, type Family } from '#lib/addr/address.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { Request } from '#lib/net/netlink.ts';
import { DATA_TYPES, nft } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  decodeIndexKey,
  encodeIndexKey,
  type IndexKey,
  isSameKey,
} from '#lib/netfilter/owner-index.ts';
import { indexKey } from '#lib/ownership/attachment-index.ts';
import { OWNERS, TABLES } from './tables.ts';

/** The network's digits, and the address. */
function keyOf(network: string, address: Address): Uint8Array {
  const digits = Buffer.alloc(DATA_TYPES.ifname.bytes);
  digits.write(network);
  return Buffer.concat([digits, address.toBytes()]);
}

/** Remembers the owner of the mappings that lead to an address. */
export function addPod(owner: Attachment, address: Address): Request {
  const own = indexKey(owner);
  return nft.addElement(TABLES[address.family], OWNERS, {
    key: keyOf(own.network, address),
    value: encodeIndexKey(own),
  });
}

/** Whose mappings lead to an address of a network. @throws NetlinkError */
export function findHolder(
  nftables: Nftables,
  network: string,
  address: Address,
): IndexKey | undefined {
  const key = keyOf(network, address);
  const element = nftables.getElement(TABLES[address.family], OWNERS, key);
  return element?.value && decodeIndexKey(element.value);
}

/** The addresses that the mappings of a holder lead to, by asking for everybody's. @throws NetlinkError */
export const listPods = (nftables: Nftables, family: Family, holder: IndexKey): Address[] =>
  nftables
    .listElements(TABLES[family], OWNERS)
    .filter(({ value }) => value && isSameKey(decodeIndexKey(value), holder))
    .map(({ key }) => Address.fromBytes(key.subarray(DATA_TYPES.ifname.bytes)));

/** Forgets whose the mappings to an address are, if they are the holder's. @throws NetlinkError */
export function forgetPod(nftables: Nftables, holder: IndexKey, address: Address): Request[] {
  const standing = findHolder(nftables, holder.network, address);
  return standing !== undefined && isSameKey(standing, holder)
    ? forgetOwner(holder.network, address)
    : [];
}

/** Forgets whose the mappings to an address of a network are, whoever it is. @throws NetlinkError */
export const clearPod = (nftables: Nftables, network: string, address: Address): Request[] =>
  findHolder(nftables, network, address) === undefined ? [] : forgetOwner(network, address);

const forgetOwner = (network: string, address: Address): Request[] => [
  nft.deleteElement(TABLES[address.family], OWNERS, keyOf(network, address)),
];
