/** STATUS: what a node must have so that the next ADD can work. */
import { type Backend, missingBackend } from '#lib/netfilter/backend.ts';
import { CniError, CODE } from './error.ts';

/** The backend can be used; `purpose` is the verb for what it is for. @throws CniError PLUGIN_NOT_AVAILABLE */
export function requireBackend(wanted: Backend | undefined, purpose: string): void {
  const missing = missingBackend(wanted);
  if (missing === undefined) return;
  const message = `Cannot ${purpose}: this host has no ${missing}`;
  throw new CniError(CODE.PLUGIN_NOT_AVAILABLE, message);
}
