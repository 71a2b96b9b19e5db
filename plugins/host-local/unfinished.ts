/**
 * ADDs that died: the runtime's retry may have their reservations. Runtimes add an attachment once.
 * So a reservation of a finished ADD, of one that is still running, or of a reference plugin's is
 * refused to a second ADD.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import { getLink } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { openNetns } from '#lib/sys/netns.ts';
import { livenessOf } from './evidence.ts';
import type { Store } from './store.ts';

/**
 * Whether an attachment's reservations are of an ADD that provably never finished, nor ever will.
 * @throws SysError, NetlinkError
 */
export function neverFinished(store: Store, attachment: Attachment): boolean {
  const evidence = store.evidenceOf(attachment);
  if (evidence === undefined) return false;
  const liveness = livenessOf(evidence);
  // The container of that ADD is gone; this one has the same name.
  if (liveness === 'dead') return true;
  if (liveness === 'unknown' || evidence.sandbox === undefined) return false;
  if (!evidence.isGuarded || store.isGuarded(attachment)) return false;
  return !hasInterface(evidence.sandbox.path, attachment);
}

function hasInterface(netnsPath: string, { ifName }: Attachment): boolean {
  using netns = openNetns(netnsPath);
  using rtnl = openRtnl(netns);
  return getLink(rtnl, ifName) !== undefined;
}
