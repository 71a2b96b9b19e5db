/**
 * Evidence that a container is dead, kept beside its reservations: the boot, and the container's
 * network namespace. A reservation without evidence is the reference plugin's, or its evidence is
 * lost. Then only its age tells, if it is of an earlier boot.
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

/** What an ADD writes down of its container. */
export interface Evidence {
  readonly boot: string;
  /** Undefined where the namespace's path tells nothing. */
  readonly sandbox: Sandbox | undefined;
  /** Whether the process that goes on to make the interface locks the reservations until it ends. */
  readonly isGuarded: boolean;
}

/** The evidence about the container that an ADD is for. @throws SysError */
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
export type Liveness = 'live' | 'dead' | 'unknown';

/** What the evidence proves today. @throws SysError */
export function livenessOf({ boot, sandbox }: Evidence): Liveness {
  // Where /proc does not tell, the boot is empty.
  if (boot === '' || bootId() === '') return 'unknown';
  if (boot !== bootId()) return 'dead';
  if (sandbox === undefined) return 'unknown';
  return isGone(sandbox) ? 'dead' : 'live';
}

/** Asked once: there may be thousands of reservations. */
let began: bigint | undefined;

/**
 * What the age of a reservation without evidence proves: no container outlives the boot.
 * @throws SysError
 */
export function livenessByAge(modifiedNs: bigint): Liveness {
  began ??= bootTimeNs();
  return began !== undefined && modifiedNs < began ? 'dead' : 'unknown';
}
