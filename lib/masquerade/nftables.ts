/**
 * Masquerading with nf_tables: one element per pod address in a verdict map, so that neither packets nor calls get slower
 * with the number of pods. In each family's table:
 *
 *   map pods         pod address -> goto the chain of its network's policy
 *   map attachments  who (network, attachment and number) -> pod address: what DEL looks up when it has nothing else
 *   chain postrouting, the hook: ip saddr vmap @pods
 *   chain NETWORK-DIGEST, a policy: exempt destinations return, the rest is masqueraded
 */
import type { Address, Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { type Attachment, type AttachmentKey } from '#lib/cni/attachment.ts';
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import {
  loadAddress,
  lookupVerdict,
  masquerade,
  matchPrefix,
  verdict,
} from '#lib/net/nft-expression.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import { concatenation, DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { sha512 } from '#lib/sys/digest.ts';
import { attachmentTag, commentPrefix, networkTag, nftComment } from './owner.ts';
import { exemptions, type MasqueradePolicy, MULTICAST } from './policy.ts';

/** Tables of our own: the reference plugins rebuild theirs on every ADD. */
const TABLES = {
  4: { family: 'ip', name: 'cni_masquerade' },
  6: { family: 'ip6', name: 'cni_masquerade' },
} as const satisfies Record<Family, Table>;

const FAMILIES: readonly Family[] = [4, 6];
const COMMENT = 'CNI pods whose traffic is masqueraded';
const PODS = 'pods';
const ATTACHMENTS = 'attachments';
const POSTROUTING = 'postrouting';

/** linux/netfilter_ipv4.h: NF_IP_PRI_NAT_SRC */
const SRCNAT = 100;

/** How often ADD starts again because another call changed the tables in between. */
const RACE_LIMIT = 10;

/** One address of a pod, with what belongs to it in the tables. */
interface Entry {
  readonly table: Table;
  readonly family: Family;
  readonly address: Address;
  readonly key: Uint8Array;
  readonly exempt: readonly Prefix[];
  readonly chain: string;
}

/** Keys of map attachments are two interface-name-like texts, so that `nft list` shows them. */
const KEY_TYPE = concatenation(DATA_TYPES.ifname, DATA_TYPES.ifname);

function attachmentKey(owner: Attachment, number: number): Uint8Array {
  const bytes = Buffer.alloc(KEY_TYPE.bytes);
  bytes.write(networkTag(owner.network).slice(0, 15), 0);
  bytes.write(`${attachmentTag(owner).slice(0, 12)}.${number}`, 16);
  return bytes;
}

/** Network and attachment of a key, without the number. */
const keyText = (key: Uint8Array): string =>
  Buffer.from(key)
    .toString('latin1')
    .replaceAll('\0', ' ')
    .replace(/\.[0-9]+ *$/, '');

function entries(
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): Entry[] {
  return FAMILIES.flatMap((family) =>
    addresses
      .filter((address) => address.family === family)
      .map((address, number) => {
        const exempt = exemptions(address, policy);
        const digest = sha512(exempt.join(' ')).slice(0, 8);
        return {
          table: TABLES[family],
          family,
          address: address.address,
          key: attachmentKey(owner, number),
          exempt,
          chain: `${owner.network.slice(0, 64)}-${digest}`,
        };
      }),
  );
}

/** Masquerades a pod's addresses; repeated it changes nothing. @throws NetlinkError */
export function addMasquerade(
  nftables: Nftables,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): void {
  const wanted = entries(owner, addresses, policy);
  let requests = wanted.flatMap((entry) => elements(owner, entry));
  for (let tries = 1; ; tries += 1) {
    try {
      nftables.commit(requests);
      return;
    } catch (error) {
      if (tries === RACE_LIMIT) throw error;
      if (isNetlinkError(error, 'ENOENT')) {
        // The first pod of this policy, or somebody flushed the tables: make all of it, which does no harm twice.
        requests = wanted.flatMap((entry) => [...structure(entry), ...elements(owner, entry)]);
      } else if (isNetlinkError(error, 'EEXIST')) {
        // Left by an earlier owner of the address, or by an ADD of ours that died.
        requests = wanted.flatMap((entry) => [
          ...structure(entry),
          ...removals(nftables, entry),
          ...elements(owner, entry),
        ]);
      } else throw error;
    }
  }
}

const elements = (owner: Attachment, { table, key, address, chain }: Entry): Request[] => {
  const comment = nftComment(owner);
  return [
    nft.addElement(table, ATTACHMENTS, { key, value: address.toBytes(), comment }),
    nft.addElement(table, PODS, {
      key: address.toBytes(),
      value: { code: 'goto', chain },
      comment,
    }),
  ];
};

/** Whatever stands at the keys of an entry. */
function removals(nftables: Nftables, { table, key, address }: Entry): Request[] {
  const requests: Request[] = [];
  if (nftables.getElement(table, ATTACHMENTS, key)) {
    requests.push(nft.deleteElement(table, ATTACHMENTS, key));
  }
  if (nftables.getElement(table, PODS, address.toBytes())) {
    requests.push(nft.deleteElement(table, PODS, address.toBytes()));
  }
  return requests;
}

/** Table, maps, hook and policy chain; rules are flushed and made again, in the same transaction. */
function structure({ table, family, exempt, chain }: Entry): Request[] {
  const addressType = DATA_TYPES[TABLES[family].family];
  const returns = [...exempt, MULTICAST[family]].map((prefix) => [
    ...matchPrefix('daddr', prefix),
    verdict({ code: 'return' }),
  ]);
  return [
    nft.addTable(table, COMMENT),
    nft.addMap(table, PODS, addressType, DATA_TYPES.verdict),
    nft.addMap(table, ATTACHMENTS, KEY_TYPE, addressType),
    nft.addChain(table, POSTROUTING, { type: 'nat', hook: 'postrouting', priority: SRCNAT }),
    nft.deleteRules(table, POSTROUTING),
    nft.addRule(table, POSTROUTING, [loadAddress('saddr', family), lookupVerdict(PODS)]),
    nft.addChain(table, chain),
    nft.deleteRules(table, chain),
    ...[...returns, [masquerade()]].map((expressions) => nft.addRule(table, chain, expressions)),
  ];
}

/** Ends the masquerading of an attachment; nothing to end is accepted. @throws NetlinkError */
export function deleteMasquerade(nftables: Nftables, owner: Attachment): void {
  for (const family of FAMILIES) {
    for (let number = 0; ; number += 1) {
      const key = attachmentKey(owner, number);
      const attachment = nftables.getElement(TABLES[family], ATTACHMENTS, key);
      if (attachment === undefined) break;
      deleteEntry(nftables, TABLES[family], attachment);
    }
  }
}

/** Takes out one address, unless another attachment has it by now, and what no other pod needs. */
function deleteEntry(nftables: Nftables, table: Table, attachment: ListedElement): void {
  const address = attachment.value ?? new Uint8Array();
  const pod = nftables.getElement(table, PODS, address);
  const isOwn = pod?.comment !== undefined && pod.comment === attachment.comment;
  acceptAbsence(() =>
    nftables.commit([
      nft.deleteElement(table, ATTACHMENTS, attachment.key),
      ...(isOwn ? [nft.deleteElement(table, PODS, address)] : []),
    ]),
  );
  if (isOwn && pod.chain !== undefined) deleteUnused(nftables, table, pod.chain);
}

/** Deletes a policy chain that no element leads to any more, and with the last one the table. */
function deleteUnused(nftables: Nftables, table: Table, chain: string): void {
  const rules = nftables.listRules(table, chain).length;
  if ((nftables.chainUse(table, chain) ?? 0) > rules) return;
  const chainRequests = [nft.deleteRules(table, chain), nft.deleteChain(table, chain)];
  if (!acceptAbsence(() => nftables.commit(chainRequests))) return;
  acceptAbsence(() =>
    nftables.commit([
      nft.deleteRules(table, POSTROUTING),
      nft.deleteChain(table, POSTROUTING),
      nft.deleteEmptySet(table, PODS),
      nft.deleteEmptySet(table, ATTACHMENTS),
      nft.deleteEmptyTable(table),
    ]),
  );
}

/** Another call was quicker, to delete it or to use it again: both are fine. @returns whether it was done */
function acceptAbsence(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (isNetlinkError(error, 'ENOENT', 'EBUSY')) return false;
    throw error;
  }
}

/** Ends the masquerading of all attachments of a network but the valid ones. @throws NetlinkError */
export function gcMasquerade(
  nftables: Nftables,
  network: string,
  valid: readonly AttachmentKey[],
): void {
  const owner = (key: AttachmentKey): Attachment => ({ ...key, network, netns: undefined });
  const keep = new Set(valid.map((key) => keyText(attachmentKey(owner(key), 0))));
  const mine = networkTag(network).slice(0, 15);
  for (const family of FAMILIES) {
    for (const element of nftables.listElements(TABLES[family], ATTACHMENTS)) {
      const text = keyText(element.key);
      if (text.startsWith(mine) && !keep.has(text)) deleteEntry(nftables, TABLES[family], element);
    }
  }
}

/** The addresses, of those given, that are not masqueraded as the policy wants it. */
export function missingMasquerade(
  nftables: Nftables,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): Address[] {
  return entries(owner, addresses, policy)
    .filter(({ table, address, chain }) => {
      const pod = nftables.getElement(table, PODS, address.toBytes());
      const hooked = nftables.listRules(table, POSTROUTING).length > 0;
      const works = nftables.listRules(table, chain).length > 0;
      return !(
        hooked &&
        works &&
        pod?.chain === chain &&
        pod.comment?.startsWith(commentPrefix(owner))
      );
    })
    .map(({ address }) => address);
}
