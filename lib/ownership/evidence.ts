/**
 * Evidence that a container is gone, as text beside its state. A GC without a list of valid
 * attachments goes by it.
 */
import { bootId } from '#lib/sys/boot.ts';
import { describeSandbox, formatSandbox, isGone, parseSandbox } from './sandbox.ts';

/**
 * The evidence about the container of a namespace; empty if there is none, or if it takes more than
 * `limitBytes`.
 */
export function evidenceOf(netns: string | undefined, limitBytes = Infinity): string {
  const sandbox = describeSandbox(netns);
  const text = sandbox === undefined ? '' : formatSandbox(sandbox);
  // A path with a line end in it could not be read again.
  return isEvidence(text) && Buffer.byteLength(text) <= limitBytes ? text : '';
}

/** The evidence for files. They may outlive the boot, which no container does. @throws SysError */
export const lastingEvidenceOf = (netns: string | undefined): string =>
  `boot ${bootId()}; ${evidenceOf(netns)}`;

/**
 * Whether evidence proves that its container is gone. Any other text proves nothing.
 * @throws SysError
 */
export function provesGone(text: string | undefined): boolean {
  const [, boot, rest] = /^boot (\S*); (.*)$/.exec(text ?? '') ?? [];
  // The boot is empty if /proc does not tell it.
  if (boot && bootId() && boot !== bootId()) return true;
  const sandbox = parseSandbox(rest ?? text ?? '');
  return sandbox !== undefined && isGone(sandbox);
}

/** Whether a text is evidence. */
export const isEvidence = (text: string): boolean => parseSandbox(text) !== undefined;
