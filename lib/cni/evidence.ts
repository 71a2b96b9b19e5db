/** Evidence that a container is gone, as text that is kept beside what belongs to it, for a GC that is not told what is valid. */
import { describeSandbox, formatSandbox, isGone, parseSandbox } from './sandbox.ts';

/** What is to be kept of the namespace at a path; empty if it will be no evidence or takes more than `limitBytes`. @throws SysError */
export function evidenceOf(netns: string | undefined, limitBytes = Infinity): string {
  const sandbox = describeSandbox(netns);
  const text = sandbox === undefined ? '' : formatSandbox(sandbox);
  // A path that would not be read again, with a line end in it, is none either.
  return isEvidence(text) && Buffer.byteLength(text) <= limitBytes ? text : '';
}

/** Whether such a text proves that its container is gone; any other text proves nothing. @throws SysError */
export function provesGone(text: string | undefined): boolean {
  const sandbox = parseSandbox(text ?? '');
  return sandbox !== undefined && isGone(sandbox);
}

/** Whether a text is such evidence at all. */
export const isEvidence = (text: string): boolean => parseSandbox(text) !== undefined;
