/**
 * An ADD that died: its retry may have the reservation. Runtimes add an attachment once, so whatever else is held is refused: of a
 * finished ADD, of one that is still running, or of one that a reference plugin makes.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import { getLink } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { openNetns } from '#lib/sys/netns.ts';
import { lifeOf } from './evidence.ts';
import type { Store } from './store.ts';

/** Whether what an attachment holds is of an ADD that provably never finished, nor ever will. @throws SysError, NetlinkError */
export function neverFinished(store: Store, attachment: Attachment): boolean {
  const evidence = store.evidenceOf(attachment);
  if (evidence === undefined) return false;
  const life = lifeOf(evidence);
  // The container of that time is gone, and this one has its name.
  if (life === 'dead') return true;
  if (life === 'unknown' || evidence.sandbox === undefined) return false;
  if (!evidence.isGuarded || store.isGuarded(attachment)) return false;
  return !hasInterface(evidence.sandbox.path, attachment.ifName);
}

function hasInterface(path: string, ifName: string): boolean {
  using netns = openNetns(path);
  using rtnl = openRtnl(netns);
  return getLink(rtnl, ifName) !== undefined;
}
