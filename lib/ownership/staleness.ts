/** The rule of garbage collection, for every kind of state: what of a network's state is to go. */
import type { Owner } from '#lib/cni/attachment.ts';
import type { GcScope } from '#lib/cni/plugin.ts';

/** Whether state of this name is to go; `isGone` is asked for evidence where the runtime does not say what is valid. */
type IsStale = (name: string, isGone: () => boolean) => boolean;

/**
 * Makes the rule for one kind of state, which names its owner in its own way: a file name, a digest, a container ID. `namesOf` compute the
 * names that the state of a valid attachment may have. State stays if its attachment is valid. If the runtime did not say which are
 * valid, it stays unless its container is provably gone; age is no evidence. Whether state belongs to the network is the caller's to know.
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
