/** Asking an IPAM plugin for addresses, on behalf of a plugin that makes interfaces. */
import type { AttachmentCall, Call, GcCall } from '#lib/cni/plugin.ts';
import { delegateAdd, delegateCommand, PluginNotFound } from '#lib/cni/delegate.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { attempt, type Findings } from '#lib/cni/finding.ts';
import { EMPTY_RESULT, type Result } from '#lib/cni/result.ts';

/** A plugin's configuration that may name an IPAM plugin. */
export interface UsesIpam {
  /** Undefined: the network has no addresses. */
  readonly ipam: { readonly type: string } | undefined;
}

/**
 * Gets addresses, at least one unless there is no IPAM; `undo` gives them back. @throws CniError,
 * the IPAM plugin's own
 */
export function ipamAdd(call: AttachmentCall<UsesIpam>, undo: DisposableStack): Result {
  const type = call.config.ipam?.type;
  if (type === undefined) return EMPTY_RESULT;
  const result = delegateAdd(call, type, call.input);
  undo.defer(() => ipamDel(call));
  if (result.ips.length === 0) {
    throw new CniError(CODE.INTERNAL, 'IPAM plugin returned missing IP config');
  }
  return result;
}

const run = (call: Call<UsesIpam>, command: 'CHECK' | 'DEL' | 'GC' | 'STATUS'): void => {
  if (call.config.ipam !== undefined) delegateCommand(call, call.config.ipam.type, command);
};

/** Gives the addresses back. @throws CniError */
export const ipamDel = (call: AttachmentCall<UsesIpam>): void => run(call, 'DEL');

/** Asks whether the addresses are still allocated. */
export const ipamCheck = (call: AttachmentCall<UsesIpam>): Findings =>
  attempt(() => run(call, 'CHECK'));

/** Passes GC on. @throws CniError */
export const ipamGc = (call: GcCall<UsesIpam>): void => run(call, 'GC');

/** Asks whether there are addresses left; an IPAM plugin that is not there has none. */
export const ipamStatus = (call: Call<UsesIpam>): Findings =>
  attempt(() => {
    try {
      run(call, 'STATUS');
    } catch (error) {
      if (!(error instanceof PluginNotFound)) throw error;
      const { message, details } = error;
      throw new CniError(CODE.PLUGIN_NOT_AVAILABLE, message, details, { cause: error });
    }
  });
