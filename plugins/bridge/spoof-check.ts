/**
 * macspoofchk: frames from a container with another source than its hardware address are dropped. Names, chains and rules
 * are the reference plugin's, so that each deletes what the other made.
 */
import { type Mac, macToBytes } from '#lib/addr/mac.ts';
import type { AttachmentKey } from '#lib/cni/attachment.ts';
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import { matchEtherSource, matchInputInterface, verdict } from '#lib/net/nft-expression.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import { type Nftables, openNftables } from '#lib/net/nftables.ts';

const TABLE: Table = { family: 'bridge', name: 'nat' };
const PREROUTING = 'PREROUTING';

/** nft's name for it is "dstnat" in bridge tables. */
const PRIORITY = -300;

const interfaceChain = ({ containerID, ifName }: AttachmentKey): string =>
  `cni-br-iface-${containerID}-${ifName}`;
const macChain = (owner: AttachmentKey): string => `${interfaceChain(owner)}-mac`;
const comment = ({ containerID, ifName }: AttachmentKey): string =>
  `macspoofchk-${containerID}-${ifName}`;

/** Lets only frames from `mac` in by the port; `undo` ends that. @throws NetlinkError */
export function addSpoofCheck(
  owner: AttachmentKey,
  port: string,
  mac: Mac,
  undo: DisposableStack,
): void {
  using nftables = openNftables();
  undo.defer(() => deleteSpoofCheck(owner));
  const [outer, inner, note] = [interfaceChain(owner), macChain(owner), comment(owner)];
  nftables.commit([
    nft.addTable(TABLE),
    nft.addChain(TABLE, PREROUTING, { type: 'filter', hook: 'prerouting', priority: PRIORITY }),
    ...existingRules(nftables, owner),
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
    nft.addRule(TABLE, outer, [verdict({ code: 'jump', chain: inner })], note),
    nft.addRule(
      TABLE,
      inner,
      [...matchEtherSource(macToBytes(mac)), verdict({ code: 'return' })],
      note,
    ),
    nft.addRule(TABLE, inner, [verdict({ code: 'drop' })], note),
  ]);
}

/** Requests that delete the rules that lead to an attachment's chains. */
function existingRules(nftables: Nftables, owner: AttachmentKey): Request[] {
  return nftables
    .listRules(TABLE, PREROUTING)
    .filter(
      (rule) => rule.comment === comment(owner) || rule.targets.includes(interfaceChain(owner)),
    )
    .map(({ handle }) => nft.deleteRules(TABLE, PREROUTING, handle));
}

/** Ends the check, and with the last one the table; nothing to end is accepted. @throws NetlinkError */
export function deleteSpoofCheck(owner: AttachmentKey): void {
  using nftables = openNftables();
  if (!nftables.isSupported()) return;
  const chains = [interfaceChain(owner), macChain(owner)].filter((chain) =>
    nftables.hasChain(TABLE, chain),
  );
  if (chains.length > 0) deleteChains(nftables, owner, chains);
  // A DEL before this one may have died between the two.
  deleteUnusedTable(nftables);
}

function deleteChains(nftables: Nftables, owner: AttachmentKey, chains: readonly string[]): void {
  try {
    nftables.commit([
      ...existingRules(nftables, owner),
      ...chains.map((chain) => nft.deleteRules(TABLE, chain)),
      ...chains.map((chain) => nft.deleteChain(TABLE, chain)),
    ]);
  } catch (error) {
    // Another DEL of the same pod was quicker.
    if (!isNetlinkError(error, 'ENOENT')) throw error;
  }
}

function deleteUnusedTable(nftables: Nftables): void {
  if (nftables.chainUse(TABLE, PREROUTING) !== 0) return;
  try {
    nftables.commit([nft.deleteChain(TABLE, PREROUTING), nft.deleteEmptyTable(TABLE)]);
  } catch (error) {
    // Somebody else has chains in it, or was quicker.
    if (!isNetlinkError(error, 'ENOENT', 'EBUSY')) throw error;
  }
}

/** Whether the check is in force. */
export function hasSpoofCheck(owner: AttachmentKey): boolean {
  using nftables = openNftables();
  return (
    nftables
      .listRules(TABLE, PREROUTING)
      .some(({ targets }) => targets.includes(interfaceChain(owner))) &&
    nftables.listRules(TABLE, macChain(owner)).length === 2
  );
}
