/** What does the work of netfilter: nf_tables where the kernel has it, else iptables, unless the network says which. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { isSysError } from '#lib/sys/error.ts';
import { hasIptables } from './iptables.ts';

/** What can do the work. */
export type Backend = 'nftables' | 'iptables';

/** The backend that a network asks for, or the better one that there is. */
export const chooseBackend = (
  wanted: Backend | undefined,
  nftables: Nftables | undefined,
): Backend => wanted ?? (nftables === undefined ? 'iptables' : 'nftables');

/** A conversation with nf_tables in this namespace, or undefined where the kernel has none. @throws SysError */
export function openNftablesIfAny(): Nftables | undefined {
  try {
    using undo = new DisposableStack();
    const nftables = undo.use(openNftables());
    if (!nftables.isSupported()) return undefined;
    undo.move();
    return nftables;
  } catch (error) {
    if (isSysError(error, 'EPROTONOSUPPORT')) return undefined;
    throw error;
  }
}

/** The conversation, where the backend can't do without; `key` is what configures it. @throws CniError IO_FAILURE */
export function requireNftables(nftables: Nftables | undefined, key: string): Nftables {
  if (nftables !== undefined) return nftables;
  throw new CniError(
    CODE.IO_FAILURE,
    'this kernel has no nf_tables',
    `load the module nf_tables, or set "${key}": "iptables"`,
  );
}

/** STATUS: the backend can be used; `purpose` is the verb for what it is for. @throws CniError PLUGIN_NOT_AVAILABLE */
export function requireBackend(wanted: Backend | undefined, purpose: string): void {
  using nftables = openNftablesIfAny();
  const backend = chooseBackend(wanted, nftables);
  if (backend === 'nftables' ? nftables !== undefined : hasIptables()) return;
  throw new CniError(
    CODE.PLUGIN_NOT_AVAILABLE,
    `Cannot ${purpose}: this host has no ${wanted ?? 'nf_tables and no iptables'}`,
  );
}
