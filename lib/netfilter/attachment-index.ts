/**
 * Map `attachments` of a table of ours: who (network, attachment and number) -> what of it stands in the table's other maps.
 * DEL and GC need nothing else, and ask for one key instead of reading everybody's elements. The comment of an entry is how to tell
 * that its container is gone.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { evidenceOf, provesGone } from '#lib/cni/evidence.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
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
import { attachmentTag, COMMENT_LENGTH, networkTag } from './owner.ts';

const ATTACHMENTS = 'attachments';

/** Keys are two interface-name-like texts, so that `nft list` shows them. */
export const INDEX_KEY_TYPE = concatenation(DATA_TYPES.ifname, DATA_TYPES.ifname);
const NETWORK_DIGITS = 15;
const ATTACHMENT_DIGITS = 11;

/** What is left of the second text holds the number: four digits to the base 36. */
const NUMBER_BASE = 36;
const NUMBER_DIGITS = 4;

/** An attachment as far as its keys tell: digits of its network and of itself. */
export interface IndexKey {
  readonly network: string;
  readonly attachment: string;
}

/** The digits of an attachment. */
export const indexKey = (owner: Attachment): IndexKey => ({
  network: networkTag(owner.network).slice(0, NETWORK_DIGITS),
  attachment: attachmentTag(owner).slice(0, ATTACHMENT_DIGITS),
});

/** The digits in an owner's comment. */
export function indexKeyOf(comment: string): IndexKey | undefined {
  const [, network, attachment] = /^([0-9a-f]{16})-([0-9a-f]{16}), /.exec(comment) ?? [];
  if (network === undefined || attachment === undefined) return undefined;
  return {
    network: network.slice(0, NETWORK_DIGITS),
    attachment: attachment.slice(0, ATTACHMENT_DIGITS),
  };
}

/** Whether a comment names this attachment. */
export function isOwner(comment: string | undefined, { network, attachment }: IndexKey): boolean {
  const owner = indexKeyOf(comment ?? '');
  return owner?.network === network && owner.attachment === attachment;
}

/** How to tell later that a container is gone, as the comment of its entries. @throws SysError */
export function entryEvidence({ netns }: Attachment): { comment?: string } {
  const comment = evidenceOf(netns, COMMENT_LENGTH);
  return comment === '' ? {} : { comment };
}

/** An attachment, with a number, as bytes of INDEX_KEY_TYPE. */
export function encodeIndexKey({ network, attachment }: IndexKey, number = 0): Uint8Array {
  const bytes = Buffer.alloc(INDEX_KEY_TYPE.bytes);
  bytes.write(network, 0);
  const digits = number.toString(NUMBER_BASE).padStart(NUMBER_DIGITS, '0');
  bytes.write(`${attachment}${digits}`, INDEX_KEY_TYPE.bytes / 2);
  return bytes;
}

/** The attachment that such bytes name. */
export function decodeIndexKey(key: Uint8Array): IndexKey {
  const bytes = Buffer.from(key);
  return {
    network: bytes.toString('latin1', 0, NETWORK_DIGITS),
    attachment: bytes.toString(
      'latin1',
      INDEX_KEY_TYPE.bytes / 2,
      INDEX_KEY_TYPE.bytes / 2 + ATTACHMENT_DIGITS,
    ),
  };
}

/** Makes the map in a table; `value` is the type of what is remembered. */
export const addIndex = (table: Table, value: DataType): Request =>
  nft.addMap(table, ATTACHMENTS, INDEX_KEY_TYPE, value);

/** Deletes the map; refused with EBUSY while anything is in it. */
export const deleteEmptyIndex = (table: Table): Request => nft.deleteEmptySet(table, ATTACHMENTS);

/** Remembers something of an attachment; its numbers run from 0 without holes. */
export const addToIndex = (
  table: Table,
  owner: Attachment,
  number: number,
  element: Omit<Element, 'key'>,
): Request =>
  nft.addElement(table, ATTACHMENTS, { ...element, key: encodeIndexKey(indexKey(owner), number) });

/** Forgets something. */
export const deleteFromIndex = (table: Table, { key }: ListedElement): Request =>
  nft.deleteElement(table, ATTACHMENTS, key);

/** What is remembered of an attachment, by its numbers. @throws NetlinkError */
export function listIndex(nftables: Nftables, table: Table, key: IndexKey): ListedElement[] {
  const elements: ListedElement[] = [];
  for (;;) {
    const element = nftables.getElement(table, ATTACHMENTS, encodeIndexKey(key, elements.length));
    if (element === undefined) return elements;
    elements.push(element);
  }
}

/** Whether a table remembers no attachment at all. @throws NetlinkError */
export const isIndexEmpty = (nftables: Nftables, table: Table): boolean =>
  nftables.listElements(table, ATTACHMENTS).length === 0;

/**
 * Calls `release` for the attachments of a network that the table knows and that are not valid; if nobody says which are, for those
 * whose container is provably gone. @throws AggregateError of all failures
 */
export function releaseStale(
  nftables: Nftables,
  table: Table,
  { network, valid }: GcScope,
  release: (key: IndexKey) => void,
): void {
  const keep =
    valid &&
    new Set(valid.map((key) => indexKey({ ...key, network, netns: undefined }).attachment));
  const mine = networkTag(network).slice(0, NETWORK_DIGITS);
  const entries = new Map<string, ListedElement>();
  for (const entry of nftables.listElements(table, ATTACHMENTS)) {
    const key = decodeIndexKey(entry.key);
    if (key.network === mine) entries.set(key.attachment, entry);
  }
  cleanUp(
    ...[...entries].map(([attachment, { comment }]) => () => {
      const isStale = keep === undefined ? provesGone(comment) : !keep.has(attachment);
      if (isStale) release({ network: mine, attachment });
    }),
  );
}
