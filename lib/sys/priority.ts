/** This process's share of the processor. */

/** Loaded when it is needed: few calls need it. */
const os = () => process.getBuiltinModule('node:os');

/**
 * Runs ahead of others until `using` ends: who holds what hundreds wait for must not wait for a processor among them. Without
 * CAP_SYS_NICE nothing happens.
 */
export function hurry(): Disposable {
  const former = os().getPriority();
  return {
    [Symbol.dispose]: tryPriority(os().constants.priority.PRIORITY_HIGHEST)
      ? () => void tryPriority(former)
      : () => {},
  };
}

/** @returns whether it was allowed */
function tryPriority(priority: number): boolean {
  try {
    os().setPriority(priority);
    return true;
  } catch {
    // It is a help, no need.
    return false;
  }
}
