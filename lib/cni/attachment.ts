/** Attachments of containers' interfaces to networks: a call is about one of them. */
import { isSysError } from '#lib/sys/error.ts';
import { statIfAny } from '#lib/sys/file.ts';
import { isNetns, type Netns, openNetns, openNetnsIfAny } from '#lib/sys/netns.ts';
import { CniError, CODE, toCniError } from './error.ts';
import { shorten } from './shorten.ts';

/** A container's interface, without the network: runtimes list the valid attachments like this. */
export interface AttachmentKey {
  readonly containerID: string;
  readonly ifName: string;
}

/** The identity of an attachment, which owns state. */
export interface Owner extends AttachmentKey {
  readonly network: string;
}

/** An attachment, identified by (network, containerID, ifName) alone. */
export interface Attachment extends Owner {
  /** Path of the container's network namespace; undefined or gone on a late DEL. */
  readonly netns: string | undefined;
}

/** Whether two keys mean the same interface of the same container. */
export const sameAttachment = (a: AttachmentKey, b: AttachmentKey): boolean =>
  a.containerID === b.containerID && a.ifName === b.ifName;

/**
 * Opens the container's namespace for ADD or CHECK, which need it. @throws CniError INVALID_NETNS
 */
export function openContainer({ netns }: Attachment): Netns {
  return open(netns, (path) => openNetns(path));
}

/**
 * Opens the container's namespace for DEL: undefined when it is gone. @throws CniError if it is
 * something else
 */
export function openContainerIfAny({ netns }: Attachment): Netns | undefined {
  if (netns === undefined || isAbandonedMountPoint(netns)) return undefined;
  return open(netns, openNetnsIfAny);
}

/**
 * Namespaces are mounted on empty files; unmounted, the file may stay, and must not hold up DEL.
 */
function isAbandonedMountPoint(path: string): boolean {
  const stat = statIfAny(path);
  return stat?.isFile === true && stat.sizeBytes === 0n && !isNetns(path);
}

function open<T>(netns: string | undefined, body: (path: string) => T): T {
  try {
    return body(netns ?? '');
  } catch (error) {
    const reason = isSysError(error, 'ENOENT')
      ? 'no such file or directory'
      : toCniError(error).message;
    throw new CniError(
      CODE.INVALID_NETNS,
      `failed to open netns "${shorten(netns ?? '')}": ${reason}`,
      '',
      {
        cause: error,
      },
    );
  }
}
