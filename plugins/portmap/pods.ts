/**
 * Map `owners`: the owner of the mappings to a pod's address. If the network gives the address out
 * again, those mappings are deleted.
 */
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

/** A key of the map: the network's digits, and the address. */
function keyOf(network: string, address: Address): Uint8Array {
  const digits = Buffer.alloc(DATA_TYPES.ifname.bytes);
  digits.write(network);
  return Buffer.concat([digits, address.toBytes()]);
}

/** The request that adds the owner of the mappings to an address. */
export function addPod(owner: Attachment, address: Address): Request {
  const own = indexKey(owner);
  return nft.addElement(TABLES[address.family], OWNERS, {
    key: keyOf(own.network, address),
    value: encodeIndexKey(own),
  });
}

/** The owner of the mappings to an address of a network. @throws NetlinkError */
export function findOwner(
  nftables: Nftables,
  network: string,
  address: Address,
): IndexKey | undefined {
  const key = keyOf(network, address);
  const element = nftables.getElement(TABLES[address.family], OWNERS, key);
  return element?.value && decodeIndexKey(element.value);
}

/**
 * The addresses that an owner's mappings lead to. Reads the addresses of all owners.
 * @throws NetlinkError
 */
export const listPods = (nftables: Nftables, family: Family, owner: IndexKey): Address[] =>
  nftables
    .listElements(TABLES[family], OWNERS)
    .filter(({ value }) => value && isSameKey(decodeIndexKey(value), owner))
    .map(({ key }) => Address.fromBytes(key.subarray(DATA_TYPES.ifname.bytes)));

/**
 * The requests that forget an owner of the mappings to an address; none if another owns them.
 * @throws NetlinkError
 */
export function forgetPod(nftables: Nftables, owner: IndexKey, address: Address): Request[] {
  const present = findOwner(nftables, owner.network, address);
  return present !== undefined && isSameKey(present, owner)
    ? forgetOwner(owner.network, address)
    : [];
}

/**
 * The requests that forget the owner of the mappings to an address, whoever that is.
 * @throws NetlinkError
 */
export const clearPod = (nftables: Nftables, network: string, address: Address): Request[] =>
  findOwner(nftables, network, address) === undefined ? [] : forgetOwner(network, address);

const forgetOwner = (network: string, address: Address): Request[] => [
  nft.deleteElement(TABLES[address.family], OWNERS, keyOf(network, address)),
];
