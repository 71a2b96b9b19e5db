/** Who holds a host port that is asked for: an earlier container that is provably gone makes room, a live one does not. */
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { isGone, parseSandbox } from '#lib/cni/sandbox.ts';
import type { Request } from '#lib/net/netlink.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import {
  deleteFromIndex,
  indexKey,
  type IndexKey,
  indexKeyOf,
  listIndex,
} from '#lib/netfilter/attachment-index.ts';
import { decodeTarget, type Entry, heldAt } from './element.ts';
import { describeHostPort, FAMILIES } from './forward.ts';
import { TABLES } from './tables.ts';

/** Takes out what is in the way of an attachment's mappings. @throws CniError that names the live container that holds one */
export function clearHolders(
  nftables: Nftables,
  owner: Attachment,
  entries: readonly Entry[],
): Request[] {
  // What an ADD of this attachment left that died goes as well.
  const holders = new Map([[format(indexKey(owner)), indexKey(owner)]]);
  for (const entry of entries) {
    const holder = holderOf(nftables, owner, entry);
    if (holder !== undefined) holders.set(format(holder), holder);
  }
  return [...holders.values()].flatMap((holder) => removeAll(nftables, holder));
}

const format = ({ network, attachment }: IndexKey): string => `${network} ${attachment}`;

/** Whoever stands at a mapping's place and may be removed; undefined: nobody. @throws CniError */
function holderOf(nftables: Nftables, owner: Attachment, entry: Entry): IndexKey | undefined {
  const { maps, key, policy, forward } = entry;
  const table = TABLES[policy.family];
  const verdict = nftables.getElement(table, maps.verdicts, key);
  if (verdict === undefined) return undefined;
  const holder = indexKeyOf(verdict.comment ?? '');
  const own = indexKey(owner);
  if (holder?.network === own.network && holder.attachment === own.attachment) return holder;
  if (holder !== undefined && isDead(nftables, entry, holder)) return holder;
  const who = /id: .*$/.exec(verdict.comment ?? '')?.[0] ?? 'of unknown name';
  throw new CniError(
    CODE.INTERNAL,
    `Host port ${describeHostPort(forward)} is already held by container ${who}`,
    `element of map "${maps.verdicts}" in table "${table.family} ${table.name}"; it goes with that container's DEL`,
  );
}

/** Its pod address was given out again, to us; or its network namespace is gone. */
function isDead(nftables: Nftables, entry: Entry, holder: IndexKey): boolean {
  const { maps, key, policy, forward } = entry;
  const table = TABLES[policy.family];
  const element = nftables.getElement(table, maps.targets, key);
  const target = element && decodeTarget(element, policy.family);
  if (target?.address.equals(forward.pod.address) === true) return true;
  const [first] = listIndex(nftables, table, holder);
  const sandbox = parseSandbox(first?.comment ?? '');
  return sandbox !== undefined && isGone(sandbox);
}

function removeAll(nftables: Nftables, holder: IndexKey): Request[] {
  return FAMILIES.flatMap((family) =>
    listIndex(nftables, TABLES[family], holder).flatMap((indexed) => [
      deleteFromIndex(TABLES[family], indexed),
      ...(heldAt(nftables, family, holder, indexed)?.removal ?? []),
    ]),
  );
}
