/** This process's share of the processor. */

/** Loaded when it is needed: few calls need it. */
const os = () => process.getBuiltinModule('node:os');

/** The priority to go back to; undefined while it is not raised. */
let usual: number | undefined;

const NOTHING: Disposable = { [Symbol.dispose]() {} };

/**
 * Raises the priority until `using` ends: a process that hundreds wait for must not wait for a
 * processor among them. Children do not inherit it: runChild() starts them at the usual priority.
 * Without CAP_SYS_NICE nothing happens. Calls may be nested: the outer one decides when it ends.
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

/** Runs a body at the usual priority: a child inherits the priority that it is started at. */
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
    // It only saves time: nothing depends on it.
    return false;
  }
}
