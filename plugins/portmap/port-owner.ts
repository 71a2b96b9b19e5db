/**
 * The owners of host ports that an ADD asks for: one that is provably dead makes room, a live one
 * does not.
 */
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
import { type Entry, type PresentElements, presentAt, presentOf } from './element.ts';
import { describeHostPort } from './forward.ts';
import { clearPod, forgetPod } from './pods.ts';
import { TABLES } from './tables.ts';

/**
 * The requests that make room for an attachment's mappings, and the mappings that are there
 * already.
 */
interface Cleared {
  readonly requests: readonly Request[];
  /** Ports that lead to another interface of the same container. */
  readonly shared: ReadonlySet<Entry>;
}

/** A mapping whose place in the maps is taken: by what, and whose it is. */
interface Conflict {
  readonly entry: Entry;
  readonly present: PresentElements;
  readonly owner: IndexKey | 'same container' | undefined;
}

/**
 * Makes room for an attachment's mappings. @throws CniError that names a live container that owns
 * one of the ports
 */
export function makeRoom(
  nftables: Nftables,
  attachment: Attachment,
  entries: readonly Entry[],
): Cleared {
  const own = indexKey(attachment);
  const conflicts = findConflicts(nftables, attachment, entries);
  const shared = conflicts.filter(({ owner }) => owner === 'same container');
  const others = conflicts.filter(({ owner }) => owner !== 'same container');
  const pods = distinct(entries.map(({ forward }) => forward.pod.address));
  const requests = [
    ...others.flatMap(({ present }) => present.removal),
    // An earlier ADD of this attachment may have died: its mappings go too.
    ...distinct([own, ...deadOwners(others)], format).flatMap((key) => removeAll(nftables, key)),
    ...pods.flatMap((pod) => clearPod(nftables, own.network, pod)),
  ];
  return {
    requests: distinct(requests, ({ op, body }) => `${op} ${Buffer.from(body).toString('hex')}`),
    shared: new Set(shared.map(({ entry }) => entry)),
  };
}

/**
 * The owners of an attachment's ports that are provably dead.
 * @throws CniError that names a live container that owns one of the ports
 */
export const listDeadOwners = (
  nftables: Nftables,
  attachment: Attachment,
  entries: readonly Entry[],
): IndexKey[] => deadOwners(findConflicts(nftables, attachment, entries));

/** The owners of conflicts, the attachment's own container apart: live ones were refused. */
const deadOwners = (conflicts: readonly Conflict[]): IndexKey[] =>
  distinct(
    conflicts.flatMap(({ owner }) =>
      owner === undefined || owner === 'same container' ? [] : [owner],
    ),
    format,
  );

const findConflicts = (
  nftables: Nftables,
  attachment: Attachment,
  entries: readonly Entry[],
): Conflict[] =>
  entries.map((entry) => {
    const present = presentAt(nftables, entry.policy.family, entry);
    return { entry, present, owner: ownerOf(nftables, attachment, entry, present) };
  });

/** Whether an element is of this container, whatever network and interface. */
export const isOfContainer = (
  { comment = '' }: ListedElement,
  { containerID }: Pick<Attachment, 'containerID'>,
): boolean => comment.includes(`, id: ${containerID}, if: `);

const format = ({ network, attachment }: IndexKey): string => `${network} ${attachment}`;

/**
 * The owner of the elements at a mapping's place, who may be removed; undefined: none, or the
 * attachment itself. @throws CniError
 */
function ownerOf(
  nftables: Nftables,
  attachment: Attachment,
  { policy, forward, maps }: Entry,
  { verdict, target }: PresentElements,
): IndexKey | 'same container' | undefined {
  if (verdict === undefined || isOwner(verdict.comment, indexKey(attachment))) return undefined;
  if (isOfContainer(verdict, attachment)) return 'same container';
  const table = TABLES[policy.family];
  const owner = indexKeyOf(verdict.comment);
  // Its pod's address was given out again, to us; or its network namespace is gone.
  const isReused = target?.address.equals(forward.pod.address) === true;
  if (owner !== undefined && (isReused || isDead(nftables, table, owner))) return owner;
  const who = /id: .*$/.exec(verdict.comment ?? '')?.[0] ?? 'of unknown name';
  throw new CniError(
    CODE.INTERNAL,
    `Host port ${describeHostPort(forward)} is already held by container ${who}`,
    `element of map "${maps.verdicts}" in table "${table.family} ${table.name}"; it goes with that container's DEL`,
  );
}

function isDead(nftables: Nftables, table: Table, owner: IndexKey): boolean {
  const [first] = listIndex(nftables, table, owner);
  return provesGone(first?.comment);
}

const removeAll = (nftables: Nftables, owner: IndexKey): Request[] =>
  FAMILIES.flatMap((family) =>
    listIndex(nftables, TABLES[family], owner).flatMap((indexed) => {
      const { removal = [], target } = presentOf(nftables, family, owner, indexed) ?? {};
      const pod = target === undefined ? [] : forgetPod(nftables, owner, target.address);
      return [deleteFromIndex(TABLES[family], indexed), ...removal, ...pod];
    }),
  );
