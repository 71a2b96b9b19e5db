/**
 * Map `attachments` of a table of ours: an owner's key and a number lead to the key of an element
 * in the table's other maps. With it a DEL asks for its own elements instead of reading those of
 * all owners. The comment of an entry is the evidence about the owner.
 */
import type { Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import {
  concatenation,
  DATA_TYPES,
  type DataType,
  type Element,
  nft,
  type Table,
} from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';

const MAP = 'attachments';

/** Keys are two texts of the type of interface names, so that `nft list` shows them. */
export const INDEX_KEY_TYPE = concatenation(DATA_TYPES.ifname, DATA_TYPES.ifname);

/** Digits of a key's two parts. */
export const NETWORK_DIGITS = 15;
export const ATTACHMENT_DIGITS = 11;

/** The number is at the end of the second text: four digits to the base 36. */
const NUMBER_BASE = 36;
const NUMBER_DIGITS = 4;

/** An owner: digits of its network's digest, and of its attachment's. */
export interface IndexKey {
  readonly network: string;
  readonly attachment: string;
}

/** Whether two keys are one owner's. */
export const isSameKey = (a: IndexKey, b: IndexKey): boolean =>
  a.network === b.network && a.attachment === b.attachment;

/** A key with a number as bytes of INDEX_KEY_TYPE. */
export function encodeIndexKey({ network, attachment }: IndexKey, number = 0): Uint8Array {
  const bytes = Buffer.alloc(INDEX_KEY_TYPE.bytes);
  bytes.write(network, 0);
  const digits = number.toString(NUMBER_BASE).padStart(NUMBER_DIGITS, '0');
  bytes.write(`${attachment}${digits}`, INDEX_KEY_TYPE.bytes / 2);
  return bytes;
}

/** The key in such bytes, without its number. */
export function decodeIndexKey(key: Uint8Array): IndexKey {
  const bytes = Buffer.from(key);
  const half = INDEX_KEY_TYPE.bytes / 2;
  return {
    network: bytes.toString('latin1', 0, NETWORK_DIGITS),
    attachment: bytes.toString('latin1', half, half + ATTACHMENT_DIGITS),
  };
}

/** Makes the map in a table; `value` is the type of its values. */
export const addIndex = (table: Table, value: DataType): Request =>
  nft.addMap(table, MAP, { key: INDEX_KEY_TYPE, value });

/** Deletes the map; refused with EBUSY while anything is in it. */
export const deleteEmptyIndex = (table: Table): Request => nft.deleteEmptySet(table, MAP);

/** Adds an entry of an owner; its numbers run from 0 without holes. */
export const addToIndex = (
  table: Table,
  key: IndexKey,
  number: number,
  element: Omit<Element, 'key'>,
): Request => nft.addElement(table, MAP, { ...element, key: encodeIndexKey(key, number) });

/** Deletes an entry. */
export const deleteFromIndex = (table: Table, { key }: ListedElement): Request =>
  nft.deleteElement(table, MAP, key);

/** The entries of an owner, in the order of their numbers. @throws NetlinkError */
export function listIndex(nftables: Nftables, table: Table, key: IndexKey): ListedElement[] {
  const elements: ListedElement[] = [];
  for (;;) {
    const element = nftables.getElement(table, MAP, encodeIndexKey(key, elements.length));
    if (element === undefined) return elements;
    elements.push(element);
  }
}

/** One entry of each owner in a network that the table knows. @throws NetlinkError */
export function listOwners(
  nftables: Nftables,
  table: Table,
  network: string,
): { readonly key: IndexKey; readonly entry: ListedElement }[] {
  const owners = new Map<string, { key: IndexKey; entry: ListedElement }>();
  for (const entry of nftables.listElements(table, MAP)) {
    const key = decodeIndexKey(entry.key);
    if (key.network === network) owners.set(key.attachment, { key, entry });
  }
  return [...owners.values()];
}

/** Whether there is no entry. @throws NetlinkError */
export const isIndexEmpty = (nftables: Nftables, table: Table): boolean =>
  nftables.listElements(table, MAP).length === 0;
