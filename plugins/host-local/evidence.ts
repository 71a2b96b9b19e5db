/**
 * What is noted beside a reservation, to prove later that its container is gone: the boot, the container's network namespace.
 * A reservation without is the reference plugin's, or its evidence is lost; then only its age tells, if it is of an earlier boot.
 */
import type { Attachment } from '#lib/cni/attachment.ts';
import {
  describeSandbox,
  formatSandbox,
  isGone,
  parseSandbox,
  type Sandbox,
} from '#lib/ownership/sandbox.ts';
import { bootId, bootTimeNs } from '#lib/sys/boot.ts';
import type { EvidenceEntry } from './config.ts';

/** What is known of a container that holds addresses. */
export interface Evidence {
  readonly boot: string;
  /** Undefined where the namespace's path tells nothing. */
  readonly sandbox: Sandbox | undefined;
  /** Whether the process that goes on to make the interface locks the reservations until it ends. */
  readonly isGuarded: boolean;
}

/** What can be told of the container that an ADD is for. @throws SysError */
export function gatherEvidence({ netns }: Attachment, isGuarded: boolean): Evidence {
  return { boot: bootId(), sandbox: describeSandbox(netns), isGuarded };
}

export const encodeEvidence = (evidence: Evidence): EvidenceEntry => ({
  boot: evidence.boot,
  ...(evidence.sandbox === undefined ? {} : { netns: formatSandbox(evidence.sandbox) }),
  guarded: evidence.isGuarded,
});

export const decodeEvidence = ({ boot, netns, guarded }: EvidenceEntry): Evidence => ({
  boot,
  sandbox: parseSandbox(netns ?? ''),
  isGuarded: guarded,
});

/** Whether a container lives, as far as can be told. */
export type Life = 'live' | 'dead' | 'unknown';

/** What the evidence proves today. @throws SysError */
export function lifeOf({ boot, sandbox }: Evidence): Life {
  // Where /proc does not tell, the boot is empty.
  if (boot === '' || bootId() === '') return 'unknown';
  if (boot !== bootId()) return 'dead';
  if (sandbox === undefined) return 'unknown';
  return isGone(sandbox) ? 'dead' : 'live';
}

/** Asked once: there may be thousands of reservations. */
let began: bigint | undefined;

/** What the age of a reservation without evidence proves. Nothing of a container outlives the boot. @throws SysError */
export function lifeByAge(modifiedNs: bigint): Life {
  began ??= bootTimeNs();
  return began !== undefined && modifiedNs < began ? 'dead' : 'unknown';
}
