/** Evidence that a container is gone: its network namespace, as it was met when the container was attached. */
import { statIfAny } from '#lib/sys/file.ts';

/** A namespace by its path and, since paths are used again, by its device and inode. */
export interface Sandbox {
  readonly path: string;
  readonly id: string;
}

/** A process's own file descriptor: once closed, the path is gone although the namespace may live. */
const DESCRIPTOR = /^\/proc\/[^/]+\/(task\/[^/]+\/)?fd\//;

/** What can be told later of the namespace at a path; undefined if its path will be no evidence. @throws SysError */
export function describeSandbox(path: string | undefined): Sandbox | undefined {
  if (path === undefined || DESCRIPTOR.test(path)) return undefined;
  const stat = statIfAny(path);
  return stat && { path, id: stat.id };
}

/** Whether a namespace is provably gone: nothing is at its path any more, or another one. @throws SysError */
export const isGone = ({ path, id }: Sandbox): boolean => statIfAny(path)?.id !== id;

/** One line of text, to be kept. */
export const formatSandbox = ({ path, id }: Sandbox): string => `netns ${id} ${path}`;

/** Reads such a line; undefined if it is something else. */
export function parseSandbox(text: string): Sandbox | undefined {
  const [, id, path] = /^netns (\d+:\d+) (\/.*)$/.exec(text) ?? [];
  return id === undefined || path === undefined ? undefined : { id, path };
}
