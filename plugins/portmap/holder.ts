/** Who holds a host port that is asked for: an earlier container that is provably gone makes room, a live one does not. */
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { isGone, parseSandbox } from '#lib/cni/sandbox.ts';
import type { Request } from '#lib/net/netlink.ts';
import type { Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  deleteFromIndex,
  indexKey,
  type IndexKey,
  indexKeyOf,
  listIndex,
} from '#lib/netfilter/attachment-index.ts';
import { type Entry, heldBy, isOwner, type Standing, standingAt } from './element.ts';
import { describeHostPort, FAMILIES } from './forward.ts';
import { TABLES } from './tables.ts';

/** Takes out what is in the way of an attachment's mappings. @throws CniError that names the live container that holds one */
export function clearHolders(
  nftables: Nftables,
  owner: Attachment,
  entries: readonly Entry[],
): Request[] {
  // What an ADD of this attachment left that died goes as well.
  const own = indexKey(owner);
  const holders = new Map([[format(own), own]]);
  const requests = new Map<string, Request>();
  const remove = (request: Request) => requests.set(`${request.op} ${hex(request)}`, request);
  for (const entry of entries) {
    const standing = standingAt(nftables, entry.policy.family, entry);
    const holder = holderOf(nftables, own, entry, standing);
    if (holder !== undefined) holders.set(format(holder), holder);
    for (const request of standing.removal) remove(request);
  }
  for (const holder of holders.values()) {
    for (const request of removeAll(nftables, holder)) remove(request);
  }
  return [...requests.values()];
}

const format = ({ network, attachment }: IndexKey): string => `${network} ${attachment}`;
const hex = ({ body }: Request): string => Buffer.from(body).toString('hex');

/** Whoever stands at a mapping's place and may be removed; undefined: nobody. @throws CniError */
function holderOf(
  nftables: Nftables,
  own: IndexKey,
  { policy, forward, maps }: Entry,
  { verdict, target }: Standing,
): IndexKey | undefined {
  if (verdict === undefined || isOwner(verdict, own)) return undefined;
  const table = TABLES[policy.family];
  const holder = indexKeyOf(verdict.comment ?? '');
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
  const sandbox = parseSandbox(first?.comment ?? '');
  return sandbox !== undefined && isGone(sandbox);
}

function removeAll(nftables: Nftables, holder: IndexKey): Request[] {
  return FAMILIES.flatMap((family) =>
    listIndex(nftables, TABLES[family], holder).flatMap((indexed) => [
      deleteFromIndex(TABLES[family], indexed),
      ...(heldBy(nftables, family, holder, indexed)?.removal ?? []),
    ]),
  );
}
