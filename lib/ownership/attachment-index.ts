/** Owners as the index of a table of ours knows them: an attachment's key, the evidence with its entries, and their garbage collection. */
import type { Attachment, Owner } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
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

const keyOf = (network: string, attachment: string): IndexKey => ({
  network: network.slice(0, NETWORK_DIGITS),
  attachment: attachment.slice(0, ATTACHMENT_DIGITS),
});

/** The key of an attachment. */
export const indexKey = (owner: Owner): IndexKey =>
  keyOf(networkTag(owner.network), attachmentTag(owner));

/** The key of the attachment that a comment names; undefined if it names none. */
export function indexKeyOf(comment: string | undefined): IndexKey | undefined {
  const [, network, attachment] = /^([0-9a-f]{16})-([0-9a-f]{16}), /.exec(comment ?? '') ?? [];
  return network === undefined || attachment === undefined ? undefined : keyOf(network, attachment);
}

/** Whether a comment names this attachment. */
export function isOwner(comment: string | undefined, key: IndexKey): boolean {
  const owner = indexKeyOf(comment);
  return owner !== undefined && isSameKey(owner, key);
}

/** How to tell later that a container is gone, as the comment of its entries. @throws SysError */
export function entryEvidence({ netns }: Attachment): { comment?: string } {
  const comment = evidenceOf(netns, COMMENT_LENGTH);
  return comment === '' ? {} : { comment };
}

/** Calls `release` for the network's attachments in a table that a GC is to collect. @throws AggregateError of all failures */
export function releaseStale(
  nftables: Nftables,
  table: Table,
  scope: GcScope,
  release: (key: IndexKey) => void,
): void {
  const isStale = staleness(scope, (owner) => indexKey(owner).attachment);
  const { network } = keyOf(networkTag(scope.network), '');
  cleanUp(
    ...listOwners(nftables, table, network).map(({ key, entry }) => () => {
      if (isStale(key.attachment, () => provesGone(entry.comment))) release(key);
    }),
  );
}
