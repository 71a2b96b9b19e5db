/** Masquerading of pods, whatever the backend: adding it, ending it however it was made, checking it. */
import type { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE, step } from '#lib/cni/error.ts';
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { isSysError } from '#lib/sys/error.ts';
import * as iptables from './iptables.ts';
import * as maps from './nftables.ts';
import type { MasqueradePolicy } from './policy.ts';
import { deleteReferenceRules, gcReferenceRules } from './reference.ts';

/** What does the work. */
type MasqueradeBackend = 'nftables' | 'iptables';

/** What a network wants masqueraded, and by what; undefined: nftables where the kernel has it. */
export interface MasqueradeOptions extends MasqueradePolicy {
  readonly backend: MasqueradeBackend | undefined;
}

/** Masquerades a pod's addresses, given with the length of their subnet; `undo` ends it. @throws CniError */
export function masquerade(
  owner: Attachment,
  addresses: readonly Prefix[],
  options: MasqueradeOptions,
  undo: DisposableStack,
): void {
  if (addresses.length === 0) return;
  undo.defer(() => unmasquerade(owner, addresses));
  step('failed to set up masquerading', () => {
    using nftables = openIfSupported();
    if (backendFor(options, nftables) === 'iptables') {
      iptables.addMasquerade(nftables, owner, addresses, options);
    } else maps.addMasquerade(nftables ?? unsupported(), owner, addresses, options);
  });
}

function backendFor(
  { backend }: MasqueradeOptions,
  nftables: Nftables | undefined,
): MasqueradeBackend {
  return backend ?? (nftables === undefined ? 'iptables' : 'nftables');
}

function unsupported(): never {
  throw new CniError(
    CODE.IO_FAILURE,
    'this kernel has no nf_tables',
    'load the module nf_tables, or set "ipMasqBackend": "iptables"',
  );
}

/** A conversation with nf_tables, or undefined where the kernel has none. */
function openIfSupported(): Nftables | undefined {
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

/**
 * Ends the masquerading of an attachment, whichever backend of ours or of the reference plugins made it. Its addresses need
 * not be known: they only tell interfaces apart that share a container, a network and an iptables chain. Nothing to end is
 * accepted. @throws CniError
 */
export function unmasquerade(owner: Attachment, addresses?: readonly Prefix[]): void {
  using nftables = openIfSupported();
  cleanUp(
    () => nftables && maps.deleteMasquerade(nftables, owner),
    () => nftables && deleteReferenceRules(nftables, owner),
    () => iptables.deleteMasquerade(nftables, owner, addresses),
  );
}

/** Ends the masquerading of all attachments of a network that are not valid. @throws CniError */
export function gcMasquerade(network: string, valid: readonly AttachmentKey[]): void {
  using nftables = openIfSupported();
  if (nftables === undefined) return;
  cleanUp(
    () => maps.gcMasquerade(nftables, network, valid),
    () => gcReferenceRules(nftables, network, valid),
  );
}

/** CHECK: the addresses are masqueraded, by either backend. @throws CniError that names those that are not */
export function checkMasquerade(
  owner: Attachment,
  addresses: readonly Prefix[],
  options: MasqueradeOptions,
): void {
  using nftables = openIfSupported();
  // On a node where the suites were swapped the reference's iptables rules do the work.
  const others = addresses.filter(({ family }) => !iptables.hasMasquerade(nftables, owner, family));
  const missing = nftables ? maps.missingMasquerade(nftables, owner, others, options) : others;
  if (missing.length > 0) {
    throw new CniError(
      CODE.INTERNAL,
      `Masquerading of ${missing.join(', ')} is missing or was changed`,
    );
  }
}

/** STATUS: one of the backends can be used. @throws CniError PLUGIN_NOT_AVAILABLE */
export function masqueradeStatus(options: MasqueradeOptions): void {
  using nftables = openIfSupported();
  const backend = backendFor(options, nftables);
  if (backend === 'nftables' ? nftables !== undefined : iptables.isSupported()) return;
  throw new CniError(
    CODE.PLUGIN_NOT_AVAILABLE,
    `Cannot masquerade: this host has no ${options.backend ?? 'nf_tables and no iptables'}`,
  );
}
