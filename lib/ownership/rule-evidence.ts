/** Evidence in the comments of iptables rules: in a container's own chain, whose comments the reference plugins do not read. */
import type { Attachment } from '#lib/cni/attachment.ts';
import type { ContainerRules } from '#lib/netfilter/iptables.ts';
import { comment, commentOf } from '#lib/netfilter/iptables-table.ts';
import { evidenceOf, isEvidence, provesGone } from './evidence.ts';
import { IPTABLES_COMMENT_LENGTH } from './owner.ts';

/** The match that carries the evidence of a container; undefined where there is none. @throws SysError */
export function evidenceMatch({ netns }: Pick<Attachment, 'netns'>): string | undefined {
  const evidence = evidenceOf(netns, IPTABLES_COMMENT_LENGTH);
  return evidence === '' ? undefined : comment(evidence);
}

/** Whether the rules of a container's chain prove that it is gone, and none that it may live. @throws SysError */
export function areOfGone({ rules }: ContainerRules): boolean {
  const texts = rules.map((rule) => commentOf(rule) ?? '').filter(isEvidence);
  return texts.length > 0 && texts.every(provesGone);
}
