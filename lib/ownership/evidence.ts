/** Evidence that a container is gone, as text that is kept beside what belongs to it, for a GC that is not told what is valid. */
import { bootId } from '#lib/sys/boot.ts';
import { describeSandbox, formatSandbox, isGone, parseSandbox } from './sandbox.ts';

/** What is to be kept of the namespace at a path; empty if it will be no evidence or takes more than `limitBytes` */
export function evidenceOf(netns: string | undefined, limitBytes = Infinity): string {
  const sandbox = describeSandbox(netns);
  const text = sandbox === undefined ? '' : formatSandbox(sandbox);
  // A path that would not be read again, with a line end in it, is none either.
  return isEvidence(text) && Buffer.byteLength(text) <= limitBytes ? text : '';
}

/** The same for files, which may outlive the boot: nothing of a container does. @throws SysError */
export const lastingEvidenceOf = (netns: string | undefined): string =>
  `boot ${bootId()}; ${evidenceOf(netns)}`;

/** Whether such a text proves that its container is gone; any other text proves nothing. @throws SysError */
export function provesGone(text: string | undefined): boolean {
  const [, boot, rest] = /^boot (\S*); (.*)$/.exec(text ?? '') ?? [];
  // Where /proc does not tell, the boot is empty.
  if (boot && bootId() && boot !== bootId()) return true;
  const sandbox = parseSandbox(rest ?? text ?? '');
  return sandbox !== undefined && isGone(sandbox);
}

/** Whether a text is such evidence at all. */
export const isEvidence = (text: string): boolean => parseSandbox(text) !== undefined;
