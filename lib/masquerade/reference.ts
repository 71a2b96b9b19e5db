/** What the reference plugins' nftables backend leaves: one rule an address, known by its comment. */
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { isNetlinkError } from '#lib/net/netlink.ts';
import type { ListedRule } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { commentPrefix, networkTag } from '#lib/netfilter/owner.ts';

const TABLE: Table = { family: 'inet', name: 'cni_plugins_masquerade' };
const CHAIN = 'masq_checks';

/** Deletes the rules of an attachment; none is accepted. @throws AggregateError */
export const deleteReferenceRules = (nftables: Nftables, owner: Attachment): void =>
  deleteRules(nftables, ({ comment }) => comment?.startsWith(commentPrefix(owner)) === true);

/** Deletes the rules of a network but those of valid attachments. @throws AggregateError */
export function gcReferenceRules(
  nftables: Nftables,
  network: string,
  valid: readonly AttachmentKey[],
): void {
  const keep = valid.map((key) => commentPrefix({ ...key, network, netns: undefined }));
  deleteRules(
    nftables,
    ({ comment }) =>
      comment?.startsWith(`${networkTag(network)}-`) === true &&
      !keep.some((prefix) => comment.startsWith(prefix)),
  );
}

function deleteRules(nftables: Nftables, isDoomed: (rule: ListedRule) => boolean): void {
  const doomed = nftables.listRules(TABLE, CHAIN).filter(isDoomed);
  cleanUp(
    ...doomed.map(
      ({ handle }) =>
        () =>
          deleteRule(nftables, handle),
    ),
  );
}

function deleteRule(nftables: Nftables, handle: bigint): void {
  try {
    nftables.commit([nft.deleteRules(TABLE, CHAIN, handle)]);
  } catch (error) {
    // Another DEL of the same pod was quicker.
    if (!isNetlinkError(error, 'ENOENT')) throw error;
  }
}
