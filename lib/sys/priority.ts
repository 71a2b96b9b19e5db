/** This process's share of the processor. */

/** Loaded when it is needed: few calls need it. */
const os = () => process.getBuiltinModule('node:os');

/** The priority to go back to; undefined while it is not raised. */
let usual: number | undefined;

const NOTHING: Disposable = { [Symbol.dispose]() {} };

/**
 * Runs ahead of others until `using` ends: a process that hundreds wait for must not wait for a processor among them. Children do not inherit the
 * priority: runChild() starts them at the usual one. Without CAP_SYS_NICE nothing happens; called again, the first call decides when it ends.
 */
export function hurry(): Disposable {
  if (usual !== undefined) return NOTHING;
  const former = os().getPriority();
  if (!tryPriority(highest())) return NOTHING;
  usual = former;
  return {
    [Symbol.dispose]() {
      usual = undefined;
      tryPriority(former);
    },
  };
}

/** Runs a body at the priority that the process has when it does not hurry: children inherit what they are started at. */
export function unhurried<T>(body: () => T): T {
  if (usual === undefined) return body();
  tryPriority(usual);
  try {
    return body();
  } finally {
    tryPriority(highest());
  }
}

const highest = (): number => os().constants.priority.PRIORITY_HIGHEST;

/** @returns whether it was allowed */
function tryPriority(priority: number): boolean {
  try {
    os().setPriority(priority);
    return true;
  } catch {
    // Without it calls take longer when there are many at once; nothing else depends on it.
    return false;
  }
}
