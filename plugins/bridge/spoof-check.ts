/**
 * macspoofchk: drops frames from a container with another source than its hardware address. Names,
 * chains and rules are the reference plugin's, so that either plugin deletes the other's. The
 * reference plugin reads the comments of the shared chain alone. The comments of a container's own
 * chains tell GC the network, and hold the evidence about the container.
 */
import { type Mac, macToBytes } from '#lib/addr/mac.ts';
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { evidenceOf, provesGone } from '#lib/ownership/evidence.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Request } from '#lib/net/netlink.ts';
import { matchEtherSource, matchInputInterface, verdict } from '#lib/net/nft-expression.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { openNftablesIfAny } from '#lib/netfilter/backend.ts';
import {
  COMMENT_LENGTH,
  commentPrefix,
  isInNetwork,
  ownerComment,
  prefixIn,
} from '#lib/ownership/owner.ts';
import { staleness } from '#lib/ownership/staleness.ts';

const TABLE: Table = { family: 'bridge', name: 'nat' };
const PREROUTING = 'PREROUTING';

/** nft calls it "dstnat" in bridge tables. */
const PRIORITY = -300;

const CHAIN_PREFIX = 'cni-br-iface-';

/**
 * The names of an interface's two chains, and the comment of the rule that leads to the outer one.
 */
interface Names {
  readonly outer: string;
  readonly inner: string;
  readonly note: string;
}

const namesOf = ({ containerID, ifName }: AttachmentKey): Names =>
  namesFrom(`${containerID}-${ifName}`);

const namesFrom = (name: string): Names => ({
  outer: `${CHAIN_PREFIX}${name}`,
  inner: `${CHAIN_PREFIX}${name}-mac`,
  note: `macspoofchk-${name}`,
});

/** Lets only frames from `mac` in by the port; `undo` ends the check. @throws NetlinkError */
export function addSpoofCheck(
  owner: Attachment,
  port: string,
  mac: Mac,
  undo: DisposableStack,
): void {
  using nftables = openNftables();
  undo.defer(() => deleteSpoofCheck(owner));
  const names = namesOf(owner);
  const { outer, inner, note } = names;
  nftables.commit([
    nft.addTable(TABLE),
    nft.addChain(TABLE, PREROUTING, { type: 'filter', hook: 'prerouting', priority: PRIORITY }),
    ...existingRules(nftables, names),
    nft.addChain(TABLE, outer),
    nft.addChain(TABLE, inner),
    nft.deleteRules(TABLE, outer),
    nft.deleteRules(TABLE, inner),
    nft.addRule(
      TABLE,
      PREROUTING,
      [...matchInputInterface(port), verdict({ code: 'jump', chain: outer })],
      note,
    ),
    nft.addRule(TABLE, outer, [verdict({ code: 'jump', chain: inner })], ownerComment(owner)),
    nft.addRule(
      TABLE,
      inner,
      [...matchEtherSource(macToBytes(mac)), verdict({ code: 'return' })],
      note,
    ),
    nft.addRule(
      TABLE,
      inner,
      [verdict({ code: 'drop' })],
      evidenceOf(owner.netns, COMMENT_LENGTH) || note,
    ),
  ]);
}

/** Requests that delete the rules that lead to an interface's chains. */
function existingRules(nftables: Nftables, { outer, note }: Names): Request[] {
  return nftables
    .listRules(TABLE, PREROUTING)
    .filter(({ comment, targets }) => comment === note || targets.includes(outer))
    .map(({ handle }) => nft.deleteRules(TABLE, PREROUTING, handle));
}

/**
 * Ends the check, and deletes the table with the last one; absence is accepted.
 * @throws NetlinkError
 */
export function deleteSpoofCheck(owner: AttachmentKey): void {
  using nftables = openNftablesIfAny();
  if (nftables !== undefined) deleteChains(nftables, namesOf(owner));
}

function deleteChains(nftables: Nftables, names: Names): void {
  const chains = [names.outer, names.inner].filter((chain) => nftables.hasChain(TABLE, chain));
  if (chains.length > 0) {
    nftables.delete([
      ...existingRules(nftables, names),
      ...chains.map((chain) => nft.deleteRules(TABLE, chain)),
      ...chains.map((chain) => nft.deleteChain(TABLE, chain)),
    ]);
  }
  // An earlier DEL may have died between the two.
  deleteUnusedTable(nftables);
}

/**
 * Ends the checks of the network's attachments that a GC is to collect. The reference plugin's
 * checks name no network, and stay. @throws AggregateError
 */
export function gcSpoofChecks(scope: GcScope): void {
  using nftables = openNftablesIfAny();
  if (nftables === undefined) return;
  const isStale = staleness(scope, commentPrefix);
  const collect = (names: Names): void => {
    const owner = nftables.listRules(TABLE, names.outer)[0]?.comment ?? '';
    if (!isInNetwork(owner, scope)) return;
    const isGone = () =>
      nftables.listRules(TABLE, names.inner).some(({ comment }) => provesGone(comment));
    if (isStale(prefixIn(owner), isGone)) deleteChains(nftables, names);
  };
  const all = nftables
    .listRules(TABLE, PREROUTING)
    .flatMap(({ targets }) => targets)
    .filter((target) => target.startsWith(CHAIN_PREFIX))
    .map((target) => namesFrom(target.slice(CHAIN_PREFIX.length)));
  cleanUp(...all.map((names) => () => collect(names)));
}

/** Deletes the table, unless another chain or rule is in it. */
function deleteUnusedTable(nftables: Nftables): void {
  if (nftables.chainUse(TABLE, PREROUTING) !== 0) return;
  const requests = [nft.deleteChain(TABLE, PREROUTING), nft.deleteEmptyTable(TABLE)];
  nftables.delete(requests, { unlessUsed: true });
}

/** Whether the check is in force. */
export function hasSpoofCheck(owner: AttachmentKey): boolean {
  using nftables = openNftables();
  const { outer, inner } = namesOf(owner);
  return (
    nftables.listRules(TABLE, PREROUTING).some(({ targets }) => targets.includes(outer)) &&
    nftables.listRules(TABLE, outer).some(({ targets }) => targets.includes(inner)) &&
    nftables.listRules(TABLE, inner).length === 2
  );
}
