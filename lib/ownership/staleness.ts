/** The rule of garbage collection, for every kind of state: which of a network's state is stale. */
import type { Owner } from '#lib/cni/attachment.ts';
import type { GcScope } from '#lib/cni/plugin.ts';

/**
 * Whether state of this name is stale. `isGone` is asked if the runtime does not say which
 * attachments are valid.
 */
type IsStale = (name: string, isGone: () => boolean) => boolean;

/**
 * Makes the rule for one kind of state. Each kind names its owner in its own way: by a file name, a
 * digest, a container ID. `namesOf` compute the names that the state of a valid attachment may
 * have. State is stale if its attachment is not valid. If the runtime did not say which are valid,
 * it is stale if its container is provably gone; age is no evidence. The caller asks only about
 * state of the network.
 */
export function staleness(
  { network, valid }: GcScope,
  ...namesOf: readonly ((owner: Owner) => string)[]
): IsStale {
  if (valid === undefined) return (_name, isGone) => isGone();
  const owners = valid.map((key) => ({ ...key, network }));
  const keep = new Set(namesOf.flatMap((nameOf) => owners.map(nameOf)));
  return (name) => !keep.has(name);
}
