/**
 * Attachments in the index of a table of ours: their keys, the evidence in their entries, and their
 * garbage collection.
 */
import type { Attachment, Owner } from '#lib/cni/attachment.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  ATTACHMENT_DIGITS,
  type IndexKey,
  isSameKey,
  listOwners,
  NETWORK_DIGITS,
} from '#lib/netfilter/owner-index.ts';
import { evidenceOf, provesGone } from './evidence.ts';
import { attachmentTag, COMMENT_LENGTH, networkTag } from './owner.ts';
import { staleness } from './staleness.ts';

const networkDigits = (tag: string): string => tag.slice(0, NETWORK_DIGITS);

const keyOf = (tags: { network: string; attachment: string }): IndexKey => ({
  network: networkDigits(tags.network),
  attachment: tags.attachment.slice(0, ATTACHMENT_DIGITS),
});

/** The key of an attachment. */
export const indexKey = (owner: Owner): IndexKey =>
  keyOf({ network: networkTag(owner.network), attachment: attachmentTag(owner) });

/** The key of the attachment that a comment names; undefined if it names none. */
export function indexKeyOf(comment: string | undefined): IndexKey | undefined {
  const [, network, attachment] = /^([0-9a-f]{16})-([0-9a-f]{16}), /.exec(comment ?? '') ?? [];
  if (network === undefined || attachment === undefined) return undefined;
  return keyOf({ network, attachment });
}

/** Whether a comment names this attachment. */
export function isOwner(comment: string | undefined, key: IndexKey): boolean {
  const owner = indexKeyOf(comment);
  return owner !== undefined && isSameKey(owner, key);
}

/** The evidence about a container, as the comment of its entries. @throws SysError */
export function entryEvidence({ netns }: Attachment): { comment?: string } {
  const comment = evidenceOf(netns, COMMENT_LENGTH);
  return comment === '' ? {} : { comment };
}

/** The network's attachments in a table that a GC is to collect. @throws NetlinkError, SysError */
export function listStale(nftables: Nftables, table: Table, scope: GcScope): IndexKey[] {
  const isStale = staleness(scope, (owner) => indexKey(owner).attachment);
  const network = networkDigits(networkTag(scope.network));
  return listOwners(nftables, table, network)
    .filter(({ key, entry }) => isStale(key.attachment, () => provesGone(entry.comment)))
    .map(({ key }) => key);
}
