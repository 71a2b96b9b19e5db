/** What this process sees of the file system, as evidence names it. */
import { describeSandbox } from '#lib/ownership/sandbox.ts';

/** Undefined where the kernel names no mount namespace: then nothing is evidence. */
export const viewOfThisProcess = (): string | undefined =>
  describeSandbox(`/proc/${process.pid}/ns/net`)?.view;
