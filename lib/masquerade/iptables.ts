/**
 * Masquerading with iptables, in the reference plugins' chains, so that either suite deletes the
 * other's. The reference plugins read the comments of the rules that lead to a container's chain.
 * The comments of the rules in it hold the evidence about the container.
 */
import { FAMILIES, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  changeTable,
  type ContainerChain,
  type ContainerRules,
  deleteChain,
  hasChain,
  listContainers,
  nftTable,
} from '#lib/netfilter/iptables.ts';
import { comment, commentOf, type Rule } from '#lib/netfilter/iptables-table.ts';
import { type Container, hashedName } from '#lib/ownership/owner.ts';
import { areOfGone, evidenceMatch } from '#lib/ownership/rule-evidence.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { hasLegacyChain } from '#lib/net/xtables.ts';
import { exemptions, type MasqueradePolicy, MULTICAST } from './policy.ts';

const POSTROUTING = 'POSTROUTING';
const PREFIX = 'CNI-';

/** Length of the chain's name: iptables allows 28. */
const CHAIN_LENGTH = 28;

/** The chain of a container in a network; its interfaces share it, as in the reference plugins. */
const chainOf = (owner: Container): ContainerChain => ({
  table: 'nat',
  chain: hashedName(PREFIX, owner, CHAIN_LENGTH),
  entry: POSTROUTING,
});

/** The comment of the rules: the reference plugins delete theirs by its exact text. */
const ownerText = ({ network, containerID }: Container): string =>
  `name: "${network}" id: "${containerID}"`;

/** Masquerades a pod's addresses; may be repeated. @throws NetfilterError with iptables' words */
export function addMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): void {
  const chain = chainOf(owner);
  for (const family of FAMILIES) {
    const own = addresses.filter((address) => address.family === family);
    if (own.length === 0) continue;
    // An ADD that died may have left rules. Another interface of the container may go on using the
    // chain.
    const sources = own.map(({ address }) => address);
    deleteChain(nftables, family, chain, sources);
    const declaration = hasChain(nftables, family, chain) ? [] : [`:${chain.chain} - [0:0]`];
    const lines = own.flatMap((address) => addLines(owner, address, policy));
    changeTable(family, chain.table, [...declaration, ...lines]);
  }
}

function addLines(owner: Attachment, address: Prefix, policy: MasqueradePolicy): string[] {
  const { chain } = chainOf(owner);
  const outer = comment(ownerText(owner));
  const inner = evidenceMatch(owner) ?? outer;
  return [
    ...exemptions(address, policy).map((prefix) => `-A ${chain} -d ${prefix} ${inner} -j ACCEPT`),
    `-A ${chain} ! -d ${MULTICAST[address.family]} ${inner} -j MASQUERADE`,
    `-A ${POSTROUTING} -s ${address.address} ${outer} -j ${chain}`,
  ];
}

/**
 * Deletes the rules of ours or of the reference plugins for these addresses of a container in a
 * network; with undefined the rules for all its addresses. Absence is accepted.
 * @throws NetfilterError, NetlinkError
 */
export function deleteMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Prefix[] | undefined,
): void {
  const sources = addresses?.map(({ address }) => address);
  for (const family of FAMILIES) deleteChain(nftables, family, chainOf(owner), sources);
}

/**
 * Deletes the rules of ours or of the reference plugins for the network's containers that a GC is
 * to collect. @throws AggregateError
 */
export function gcMasquerade(nftables: Nftables | undefined, scope: GcScope): void {
  const isStale = staleness(scope, ({ containerID }) => containerID);
  const collect = (family: Family, container: ContainerRules): void => {
    const owner = ownerOf(container.jump);
    if (owner?.network !== scope.network) return;
    const isGone = () => areOfGone(container);
    if (isStale(owner.containerID, isGone)) deleteChain(nftables, family, chainOf(owner));
  };
  cleanUp(
    ...FAMILIES.map((family) => () => {
      const place = { table: 'nat', entry: POSTROUTING } as const;
      const present = listContainers(nftables, family, place, PREFIX);
      cleanUp(...present.map((container) => () => collect(family, container)));
    }),
  );
}

/**
 * The container that a rule's comment names; undefined if the rule does not lead to that
 * container's chain.
 */
function ownerOf(jump: Rule): Container | undefined {
  const [, network, containerID] = /^name: "(.+?)" id: "(.+?)"/.exec(commentOf(jump) ?? '') ?? [];
  if (network === undefined || containerID === undefined) return undefined;
  const owner = { network, containerID };
  return chainOf(owner).chain === jump.target ? owner : undefined;
}

/**
 * Whether the rules of an address are there: one that leads to the container's chain, and something
 * in that.
 */
export function hasMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  { address }: Prefix,
): boolean {
  const { family } = address;
  const { table, chain, entry } = chainOf(owner);
  const rules = nftables?.listRules(nftTable(family, table), entry) ?? [];
  const leads = rules.some(
    ({ targets, values }) =>
      targets.includes(chain) &&
      values.some((value) => Buffer.compare(address.toBytes(), value) === 0),
  );
  if (leads && (nftables?.listRules(nftTable(family, table), chain).length ?? 0) > 0) return true;
  return hasLegacyChain(family, table, chain);
}
