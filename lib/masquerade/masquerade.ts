/**
 * Masquerading of pods by any backend: adding it, ending it whichever backend made it, checking it.
 */
import type { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp, step } from '#lib/cni/error.ts';
import { broken, type Findings } from '#lib/cni/finding.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { checkBackend } from '#lib/cni/status.ts';
import {
  type Backend,
  chooseBackend,
  openNftablesIfAny,
  requireNftables,
} from '#lib/netfilter/backend.ts';
import * as iptables from './iptables.ts';
import * as maps from './nftables.ts';
import type { MasqueradePolicy } from './policy.ts';
import { deleteReferenceRules, gcReferenceRules } from './reference.ts';

/** A network's masquerading policy and its backend; undefined: nftables if the kernel has it. */
export interface MasqueradeOptions extends MasqueradePolicy {
  readonly backend: Backend | undefined;
}

/** An attachment whose masquerading is to end. */
interface Masqueraded {
  readonly owner: Attachment;
  readonly addresses: readonly Prefix[] | undefined;
  /** Whether the network masquerades now: then an earlier DEL that died may have left something. */
  readonly isExpected: boolean;
}

/**
 * Masquerades a pod's addresses, given with the length of their subnet; `undo` ends it.
 * @throws CniError
 */
export function masquerade(
  owner: Attachment,
  addresses: readonly Prefix[],
  options: MasqueradeOptions,
  undo: DisposableStack,
): void {
  if (addresses.length === 0) return;
  undo.defer(() => {
    using closing = new DisposableStack();
    unmasquerade({ owner, addresses, isExpected: true }, closing);
  });
  step('failed to set up masquerading', () => {
    using nftables = openNftablesIfAny();
    if (chooseBackend(options.backend, nftables) === 'iptables') {
      iptables.addMasquerade(nftables, owner, addresses, options);
    } else
      maps.addMasquerade(requireNftables(nftables, 'ipMasqBackend'), owner, addresses, options);
  });
}

/**
 * Ends the masquerading of an attachment, whichever backend of ours or of the reference plugins
 * made it. Absence is accepted. The addresses may be unknown: they only tell apart interfaces that
 * share a container, a network and an iptables chain. To close a conversation after a deletion
 * takes some 20 ms, until the kernel has freed what was deleted. So `closing` keeps it open while
 * other work is done.
 * @throws CniError
 */
export function unmasquerade(
  { owner, addresses, isExpected }: Masqueraded,
  closing: DisposableStack,
): void {
  const nftables = closing.use(openNftablesIfAny());
  cleanUp(
    () => nftables && maps.deleteMasquerade(nftables, owner, isExpected),
    () => nftables && deleteReferenceRules(nftables, owner),
    () => iptables.deleteMasquerade(nftables, owner, addresses),
  );
}

/**
 * Ends the masquerading of the network's attachments that a GC is to collect. Without a list of
 * valid attachments the rules of the reference plugins' nftables backend stay: they carry no
 * evidence.
 * @throws AggregateError
 */
export function gcMasquerade(scope: GcScope): void {
  using nftables = openNftablesIfAny();
  cleanUp(
    () => nftables && maps.gcMasquerade(nftables, scope),
    () => nftables && gcReferenceRules(nftables, scope),
    () => iptables.gcMasquerade(nftables, scope),
  );
}

/** CHECK: the addresses are masqueraded, by either backend. */
export function* checkMasquerade(
  owner: Attachment,
  addresses: readonly Prefix[],
  options: MasqueradeOptions,
): Findings {
  using nftables = openNftablesIfAny();
  // On a node where the suites were swapped, the reference plugins' iptables rules do the work.
  const others = addresses.filter((address) => !iptables.hasMasquerade(nftables, owner, address));
  const missing = nftables ? maps.missingMasquerade(nftables, owner, others, options) : others;
  if (missing.length > 0) {
    yield broken(`Masquerading of ${missing.join(', ')} is missing or was changed`);
  }
}

/** STATUS: the backend can be used. */
export const masqueradeStatus = ({ backend }: MasqueradeOptions): Findings =>
  checkBackend(backend, 'masquerade');
