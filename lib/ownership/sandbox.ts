/** Evidence that a container is gone: its network namespace, as it was met when the container was attached. */
import { sysError } from '#lib/sys/error.ts';
import { statIfAny } from '#lib/sys/file.ts';
import { mountNamespaceId } from '#lib/sys/mount-namespace.ts';
import { lifetimeId, NotANamespace, openNetnsIfAny } from '#lib/sys/netns.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';

/**
 * A namespace by its path and, since paths and inodes are used again, by what names it for as long as the machine runs; and the
 * view of the file system that it was seen in: in another one the path may be missing although the container lives.
 */
export interface Sandbox {
  readonly path: string;
  readonly id: string;
  readonly view: string;
}

/** Paths that may end before the namespace does: descriptors, threads, whatever a process sees. Its own namespace is its own as long as it lives. */
const BORROWED = /^\/(proc\/(?!\d+\/ns\/net$)|dev\/fd\/)/;

/** What names this process's view of the file system: mount namespace and root. Undefined where nothing names it. @throws SysError */
function ownView(): string | undefined {
  const [mounts, root] = [mountNamespaceId(), statIfAny('/')?.id];
  return mounts === undefined || root === undefined ? undefined : `${mounts}/${root}`;
}

/** What can be told later of the namespace at a path; undefined if its path will be no evidence: no ADD fails for the lack of it. */
export function describeSandbox(path: string | undefined): Sandbox | undefined {
  if (path === undefined || BORROWED.test(path)) return undefined;
  const look = () => ({ id: idAt(path), view: ownView() });
  const { id, view } = recover(look, sysError()) ?? {};
  return id === undefined || view === undefined ? undefined : { path, id, view };
}

/** Whether a namespace is provably gone: nothing is at its path any more, or another one. What can't be looked at proves nothing. */
export const isGone = ({ path, id, view }: Sandbox): boolean =>
  recover(() => view === ownView() && idAt(path) !== id, sysError()) ?? false;

/** What the namespace at a path is named; undefined if none is there. */
function idAt(path: string): string | undefined {
  const look = (): string | undefined => {
    using netns = openNetnsIfAny(path);
    return netns && lifetimeId(netns);
  };
  // The file that a namespace was mounted on may outlive it.
  return recover(look, instanceOf(NotANamespace));
}

/** One line of text, to be kept. */
export const formatSandbox = ({ path, id, view }: Sandbox): string =>
  `netns ${id} seen in ${view} ${path}`;

/** Reads such a line; undefined if it is something else. */
export function parseSandbox(text: string): Sandbox | undefined {
  const [, id, view, path] =
    /^netns (\d+:\d+(?::\d+)?) seen in ([\d:]+\/\d+:\d+) (\/.*)$/.exec(text) ?? [];
  if (id === undefined || view === undefined || path === undefined) return undefined;
  return { id, view, path };
}
