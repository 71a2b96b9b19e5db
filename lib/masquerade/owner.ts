/**
 * Who a piece of masquerading belongs to: names and comments computed from (network, containerID, ifName) alone, so
 * that DEL finds what ADD made without any state. The reference plugins' names are among them, for live replacement.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import { sha512 } from '#lib/sys/digest.ts';

/** Digits of a digest that the reference plugins' nftables comments carry. */
const TAG_DIGITS = 16;

/** Length of the reference plugins' chain names: iptables allows 28. */
const CHAIN_LENGTH = 28;

/** The longest comment that the nft program shows. */
const COMMENT_LENGTH = 127;

const tag = (text: string): string => sha512(text).slice(0, TAG_DIGITS);

/** 16 digits for a network. */
export const networkTag = (network: string): string => tag(network);

/** 16 digits for an attachment within its network. */
export const attachmentTag = ({
  ifName,
  containerID,
}: Pick<Attachment, 'ifName' | 'containerID'>): string => tag(`${ifName}:${containerID}`);

/** "TAG-TAG, ": how the comment of every nftables rule or element of an attachment begins. */
export const commentPrefix = (owner: Attachment): string =>
  `${networkTag(owner.network)}-${attachmentTag(owner)}, `;

/** The comment of an nftables rule or element, for people to read. */
export const nftComment = (owner: Attachment): string =>
  `${commentPrefix(owner)}net: ${owner.network}, if: ${owner.ifName}, id: ${owner.containerID}`.slice(
    0,
    COMMENT_LENGTH,
  );

/** The iptables chain of a container in a network; its interfaces share it, as in the reference plugins. */
export const iptablesChain = ({ network, containerID }: Attachment): string =>
  `CNI-${sha512(network + containerID)}`.slice(0, CHAIN_LENGTH);

/** The comment of iptables rules: the reference plugins delete theirs by its exact text. */
export const iptablesComment = ({ network, containerID }: Attachment): string =>
  `name: "${network}" id: "${containerID}"`;
