/**
 * The choice of a netfilter backend: the one that the network names, else nf_tables if the kernel
 * has it, else iptables.
 */
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { sysError } from '#lib/sys/error.ts';
import { recover } from '#lib/sys/recover.ts';
import { NetfilterError } from './error.ts';
import { hasIptables } from './iptables.ts';

/** A netfilter backend. */
export type Backend = 'nftables' | 'iptables';

/** The backend that a network names, else the better one of those that the host has. */
export const chooseBackend = (
  wanted: Backend | undefined,
  nftables: Nftables | undefined,
): Backend => wanted ?? (nftables === undefined ? 'iptables' : 'nftables');

/**
 * A conversation with nf_tables in this namespace; undefined if the kernel has none.
 * @throws SysError
 */
export const openNftablesIfAny = (): Nftables | undefined =>
  recover(openIfSupported, sysError('EPROTONOSUPPORT'));

function openIfSupported(): Nftables | undefined {
  using undo = new DisposableStack();
  const nftables = undo.use(openNftables());
  if (!nftables.isSupported()) return undefined;
  undo.move();
  return nftables;
}

/**
 * The conversation that the backend needs; `key` configures the backend. @throws NetfilterError
 * missing
 */
export function requireNftables(nftables: Nftables | undefined, key: string): Nftables {
  if (nftables !== undefined) return nftables;
  const advice = `load the module nf_tables, or set "${key}": "iptables"`;
  throw new NetfilterError('missing', 'this kernel has no nf_tables', advice);
}

/**
 * The backend that a network needs and the host lacks, in words; undefined if it lacks none.
 * @throws SysError
 */
export function missingBackend(wanted: Backend | undefined): string | undefined {
  using nftables = openNftablesIfAny();
  const backend = chooseBackend(wanted, nftables);
  const isThere = backend === 'nftables' ? nftables !== undefined : hasIptables();
  return isThere ? undefined : (wanted ?? 'nf_tables and no iptables');
}
