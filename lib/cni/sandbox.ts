/** Evidence that a container is gone: its network namespace, as it was met when the container was attached. */
import { statIfAny } from '#lib/sys/file.ts';
import { lifetimeId, NotANamespace, openNetnsIfAny } from '#lib/sys/netns.ts';

/**
 * A namespace by its path and, since paths and inodes are used again, by what names it for as long as the machine runs; and the
 * mount namespace that it was seen from: elsewhere the path may be missing although the container lives.
 */
export interface Sandbox {
  readonly path: string;
  readonly id: string;
  readonly mounts: string;
}

/** A process's own file descriptor: once closed, the path is gone although the namespace may live. */
const DESCRIPTOR = /^\/proc\/[^/]+\/(task\/[^/]+\/)?fd\//;

/** What names the mount namespace of this process. */
const ownMounts = (): string => statIfAny('/proc/self/ns/mnt')?.id ?? '0:0';

/** What can be told later of the namespace at a path; undefined if its path will be no evidence. @throws SysError */
export function describeSandbox(path: string | undefined): Sandbox | undefined {
  if (path === undefined || DESCRIPTOR.test(path)) return undefined;
  const id = idAt(path);
  return id === undefined ? undefined : { path, id, mounts: ownMounts() };
}

/** Whether a namespace is provably gone: nothing is at its path any more, or another one. @throws SysError */
export const isGone = ({ path, id, mounts }: Sandbox): boolean =>
  mounts === ownMounts() && idAt(path) !== id;

/** What the namespace at a path is named; undefined if none is there. */
function idAt(path: string): string | undefined {
  try {
    using netns = openNetnsIfAny(path);
    return netns && lifetimeId(netns);
  } catch (error) {
    // The file that a namespace was mounted on may outlive it.
    if (error instanceof NotANamespace) return undefined;
    throw error;
  }
}

/** One line of text, to be kept. */
export const formatSandbox = ({ path, id, mounts }: Sandbox): string =>
  `netns ${id} seen from ${mounts} ${path}`;

/** Reads such a line; undefined if it is something else. */
export function parseSandbox(text: string): Sandbox | undefined {
  const [, id, mounts, path] =
    /^netns (\d+:\d+(?::\d+)?) seen from (\d+:\d+) (\/.*)$/.exec(text) ?? [];
  if (id === undefined || mounts === undefined || path === undefined) return undefined;
  return { id, mounts, path };
}
