/**
 * Names and comments of kernel state that name its owner, computed from (network, containerID,
 * ifName) alone: DEL needs nothing else to find what ADD made. The reference plugins' names are
 * among them, so that either suite deletes what the other made.
 */
import type { AttachmentKey, Owner } from '#lib/cni/attachment.ts';
import { sha512 } from '#lib/sys/digest.ts';

/** Digits of a digest that the reference plugins' nftables comments carry. */
const TAG_DIGITS = 16;

/** The longest comment that the nft program takes. */
export const COMMENT_LENGTH = 127;

/** The longest comment that iptables takes. */
export const IPTABLES_COMMENT_LENGTH = 255;

/**
 * A container in a network, without the interface: many names of the reference plugins have no
 * more.
 */
export type Container = Pick<Owner, 'network' | 'containerID'>;

const tag = (text: string): string => sha512(text).slice(0, TAG_DIGITS);

/** 16 digits for a network. */
export const networkTag = (network: string): string => tag(network);

/** 16 digits for an attachment within its network. */
export const attachmentTag = ({ ifName, containerID }: AttachmentKey): string =>
  tag(`${ifName}:${containerID}`);

/** "TAG-TAG, ": how the comment of every nftables rule or element of an attachment begins. */
export const commentPrefix = (owner: Owner): string =>
  `${networkTag(owner.network)}-${attachmentTag(owner)}, `;

/** The prefix of a comment; empty if it names no owner. */
export const prefixIn = (comment: string): string =>
  /^[0-9a-f]{16}-[0-9a-f]{16}, /.exec(comment)?.[0] ?? '';

/** Whether a comment names an owner in a network. */
export const isInNetwork = (comment: string, { network }: Pick<Owner, 'network'>): boolean =>
  comment.startsWith(`${networkTag(network)}-`);

/**
 * The comment of an nftables element, for people to read. The network's name comes last, since it
 * may be cut.
 */
export const ownerComment = (owner: Owner): string =>
  `${commentPrefix(owner)}id: ${owner.containerID}, if: ${owner.ifName}, net: ${owner.network}`.slice(
    0,
    COMMENT_LENGTH,
  );

/**
 * The name of the chain of a network's policy. The nft program refuses names that begin with a
 * digit.
 */
export const policyChain = ({ network }: Pick<Owner, 'network'>, policy: string): string =>
  `net-${network.slice(0, 64)}-${sha512(policy).slice(0, 8)}`;

/** A name as the reference plugins make it of a container: prefix and digits, up to a length. */
export const hashedName = (
  prefix: string,
  { network, containerID }: Container,
  length: number,
): string => `${prefix}${sha512(network + containerID)}`.slice(0, length);
