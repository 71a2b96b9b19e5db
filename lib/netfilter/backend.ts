/** What does the work of netfilter: nf_tables where the kernel has it, else iptables, unless the network says which. */
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { sysError } from '#lib/sys/error.ts';
import { recover } from '#lib/sys/recover.ts';
import { NetfilterError } from './error.ts';
import { hasIptables } from './iptables.ts';

/** What can do the work. */
export type Backend = 'nftables' | 'iptables';

/** The backend that a network asks for, or the better one that there is. */
export const chooseBackend = (
  wanted: Backend | undefined,
  nftables: Nftables | undefined,
): Backend => wanted ?? (nftables === undefined ? 'iptables' : 'nftables');

/** A conversation with nf_tables in this namespace, or undefined where the kernel has none. @throws SysError */
export const openNftablesIfAny = (): Nftables | undefined =>
  recover(openIfSupported, sysError('EPROTONOSUPPORT'));

function openIfSupported(): Nftables | undefined {
  using undo = new DisposableStack();
  const nftables = undo.use(openNftables());
  if (!nftables.isSupported()) return undefined;
  undo.move();
  return nftables;
}

/** The conversation, where the backend can't do without; `key` is what configures it. @throws NetfilterError missing */
export function requireNftables(nftables: Nftables | undefined, key: string): Nftables {
  if (nftables !== undefined) return nftables;
  const advice = `load the module nf_tables, or set "${key}": "iptables"`;
  throw new NetfilterError('missing', 'this kernel has no nf_tables', advice);
}

/** The backends that the host lacks, in words, if it lacks what a network asks for; undefined if it does not. @throws SysError */
export function missingBackend(wanted: Backend | undefined): string | undefined {
  using nftables = openNftablesIfAny();
  const backend = chooseBackend(wanted, nftables);
  const isThere = backend === 'nftables' ? nftables !== undefined : hasIptables();
  return isThere ? undefined : (wanted ?? 'nf_tables and no iptables');
}
