/**
 * Evidence in comments of iptables rules, in a container's own chain: the reference plugins do not
 * read the comments there.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import type { ContainerRules } from '#lib/netfilter/iptables.ts';
import { comment, commentOf } from '#lib/netfilter/iptables-table.ts';
import { evidenceOf, isEvidence, provesGone } from './evidence.ts';
import { IPTABLES_COMMENT_LENGTH } from './owner.ts';

/**
 * The match that carries the evidence about a container; undefined if there is none.
 * @throws SysError
 */
export function evidenceMatch({ netns }: Pick<Attachment, 'netns'>): string | undefined {
  const evidence = evidenceOf(netns, IPTABLES_COMMENT_LENGTH);
  return evidence === '' ? undefined : comment(evidence);
}

/** Whether all evidence in a container's chain proves that it is gone. @throws SysError */
export function areOfGone({ rules }: ContainerRules): boolean {
  const texts = rules.map((rule) => commentOf(rule) ?? '').filter(isEvidence);
  return texts.length > 0 && texts.every(provesGone);
}
