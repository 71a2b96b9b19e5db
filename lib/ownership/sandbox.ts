/**
 * Evidence that a container is gone: its network namespace, as it was when the container was
 * attached.
 */
import { sysError } from '#lib/sys/error.ts';
import { statIfAny } from '#lib/sys/file.ts';
import { mountNamespaceId } from '#lib/sys/mount-namespace.ts';
import { lifetimeId, NotANamespace, openNetnsIfAny } from '#lib/sys/netns.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';

/**
 * A namespace. `path` and inode may be used again, so `id` is a name that no other namespace has
 * until the next boot. `view` is the view of the file system that it was seen in: in another view
 * the path may be missing although the container lives.
 */
export interface Sandbox {
  readonly path: string;
  readonly id: string;
  readonly view: string;
}

/**
 * Paths that may be gone before the namespace is: descriptors, threads, whatever a process sees.
 * /proc/PID/ns/net is none of them.
 */
const BORROWED = /^\/(proc\/(?!\d+\/ns\/net$)|dev\/fd\/)/;

/**
 * The name of this process's view of the file system: mount namespace and root; undefined if it has
 * none. @throws SysError
 */
function ownView(): string | undefined {
  const [mounts, root] = [mountNamespaceId(), statIfAny('/')?.id];
  return mounts === undefined || root === undefined ? undefined : `${mounts}/${root}`;
}

/**
 * The namespace at a path; undefined if it can't be evidence. No ADD fails for lack of evidence.
 */
export function describeSandbox(path: string | undefined): Sandbox | undefined {
  if (path === undefined || BORROWED.test(path)) return undefined;
  const look = () => ({ id: idAt(path), view: ownView() });
  const { id, view } = recover(look, sysError()) ?? {};
  return id === undefined || view === undefined ? undefined : { path, id, view };
}

/**
 * Whether a namespace is provably gone: its path leads nowhere, or to another one. A path that
 * can't be looked at proves nothing.
 */
export const isGone = ({ path, id, view }: Sandbox): boolean =>
  recover(() => view === ownView() && idAt(path) !== id, sysError()) ?? false;

/** The name of the namespace at a path; undefined if there is none. */
function idAt(path: string): string | undefined {
  const look = (): string | undefined => {
    using netns = openNetnsIfAny(path);
    return netns && lifetimeId(netns);
  };
  // The file that a namespace was mounted on may outlive it.
  return recover(look, instanceOf(NotANamespace));
}

/** A namespace as one line of text. */
export const formatSandbox = ({ path, id, view }: Sandbox): string =>
  `netns ${id} seen in ${view} ${path}`;

/** Reads such a line; undefined for any other text. */
export function parseSandbox(text: string): Sandbox | undefined {
  const [, id, view, path] =
    /^netns (\d+:\d+(?::\d+)?) seen in ([\d:]+\/\d+:\d+) (\/.*)$/.exec(text) ?? [];
  if (id === undefined || view === undefined || path === undefined) return undefined;
  return { id, view, path };
}
