/** Who holds a host port that is asked for: an earlier container that is provably gone makes room, a live one does not. */
import { FAMILIES } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { provesGone } from '#lib/ownership/evidence.ts';
import type { Request } from '#lib/net/netlink.ts';
import type { ListedElement } from '#lib/net/nft-listing.ts';
import type { Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { deleteFromIndex, type IndexKey, listIndex } from '#lib/netfilter/owner-index.ts';
import { indexKey, indexKeyOf, isOwner } from '#lib/ownership/attachment-index.ts';
import { type Entry, heldBy, type Standing, standingAt } from './element.ts';
import { describeHostPort } from './forward.ts';
import { clearPod, forgetPod } from './pods.ts';
import { TABLES } from './tables.ts';

/** What makes room for an attachment's mappings, and which of them are there already. */
interface Cleared {
  readonly requests: readonly Request[];
  /** Ports that lead to another interface of the same container. */
  readonly shared: ReadonlySet<Entry>;
}

/** Takes out what is in the way of an attachment's mappings. @throws CniError that names the live container that holds one */
export function clearHolders(
  nftables: Nftables,
  owner: Attachment,
  entries: readonly Entry[],
): Cleared {
  // What an ADD of this attachment left that died goes as well.
  const own = indexKey(owner);
  const holders = new Map([[format(own), own]]);
  const requests = new Map<string, Request>();
  const remove = (request: Request) => requests.set(`${request.op} ${hex(request)}`, request);
  const shared = new Set<Entry>();
  for (const entry of entries) {
    const standing = standingAt(nftables, entry.policy.family, entry);
    const holder = holderOf(nftables, owner, entry, standing);
    if (holder === 'same container') {
      shared.add(entry);
      continue;
    }
    if (holder !== undefined) holders.set(format(holder), holder);
    for (const request of standing.removal) remove(request);
  }
  for (const holder of holders.values()) {
    for (const request of removeAll(nftables, holder)) remove(request);
  }
  for (const pod of distinct(entries.map(({ forward }) => forward.pod.address))) {
    for (const request of clearPod(nftables, own.network, pod)) remove(request);
  }
  return { requests: [...requests.values()], shared };
}

/** The attachments that hold ports and are provably gone. @throws CniError that names a live container that holds one */
export function goneHolders(
  nftables: Nftables,
  owner: Attachment,
  entries: readonly Entry[],
): IndexKey[] {
  const holders = new Map<string, IndexKey>();
  for (const entry of entries) {
    const standing = standingAt(nftables, entry.policy.family, entry);
    const holder = holderOf(nftables, owner, entry, standing);
    if (holder !== undefined && holder !== 'same container') holders.set(format(holder), holder);
  }
  return [...holders.values()];
}

/** Whether an element is of this container, whatever network and interface. */
export const isOfContainer = (
  { comment = '' }: ListedElement,
  { containerID }: Pick<Attachment, 'containerID'>,
): boolean => comment.includes(`, id: ${containerID}, if: `);

const format = ({ network, attachment }: IndexKey): string => `${network} ${attachment}`;
const hex = ({ body }: Request): string => Buffer.from(body).toString('hex');

/** Whoever stands at a mapping's place and may be removed; undefined: nobody. @throws CniError */
function holderOf(
  nftables: Nftables,
  owner: Attachment,
  { policy, forward, maps }: Entry,
  { verdict, target }: Standing,
): IndexKey | 'same container' | undefined {
  if (verdict === undefined || isOwner(verdict.comment, indexKey(owner))) return undefined;
  if (isOfContainer(verdict, owner)) return 'same container';
  const table = TABLES[policy.family];
  const holder = indexKeyOf(verdict.comment);
  // Its pod address was given out again, to us; or its network namespace is gone.
  const isReused = target?.address.equals(forward.pod.address) === true;
  if (holder !== undefined && (isReused || isDead(nftables, table, holder))) return holder;
  const who = /id: .*$/.exec(verdict.comment ?? '')?.[0] ?? 'of unknown name';
  throw new CniError(
    CODE.INTERNAL,
    `Host port ${describeHostPort(forward)} is already held by container ${who}`,
    `element of map "${maps.verdicts}" in table "${table.family} ${table.name}"; it goes with that container's DEL`,
  );
}

function isDead(nftables: Nftables, table: Table, holder: IndexKey): boolean {
  const [first] = listIndex(nftables, table, holder);
  return provesGone(first?.comment);
}

function removeAll(nftables: Nftables, holder: IndexKey): Request[] {
  return FAMILIES.flatMap((family) =>
    listIndex(nftables, TABLES[family], holder).flatMap((indexed) => {
      const { removal = [], target } = heldBy(nftables, family, holder, indexed) ?? {};
      const pod = target === undefined ? [] : forgetPod(nftables, holder, target.address);
      return [deleteFromIndex(TABLES[family], indexed), ...removal, ...pod];
    }),
  );
}
