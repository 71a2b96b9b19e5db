/** STATUS: what a node must have so that the next ADD can work. */
import { type Backend, missingBackend } from '#lib/netfilter/backend.ts';
import { type Findings, unavailable } from './finding.ts';

/** The backend can be used; `purpose` is the verb for what it is for. */
export function* checkBackend(wanted: Backend | undefined, purpose: string): Findings {
  const missing = missingBackend(wanted);
  if (missing !== undefined) yield unavailable(`Cannot ${purpose}: this host has no ${missing}`);
}
