/**
 * Files of state, in folders of ours. Somebody may have put something else in the place of such a
 * file: a symbolic link is not followed, a pipe is not waited for.
 */
import { type BigIntStats, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { isSysError, sys, sysError, SysError } from './error.ts';
import { deleteFile, ensureFolder, ifAny, listFolder, readDescriptor } from './file.ts';
import { recover } from './recover.ts';

const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/**
 * The text of a state file; undefined if there is none. @throws SysError, ELOOP for a link, EINVAL
 * if it is no regular file
 */
export const readState = (path: string): string | undefined =>
  ifAny(() =>
    withoutFollowing(path, () => {
      const fd = openSync(path, READ);
      try {
        return readDescriptor(fd, path);
      } finally {
        closeSync(fd);
      }
    }),
  );

/**
 * The text of a state file; undefined if there is none, or no regular file: we write nothing else.
 * @throws SysError for other failures
 */
export const readStateIfRegular = (path: string): string | undefined =>
  // ELOOP of a link, ENXIO of a socket, EINVAL of all others.
  recover(() => readState(path), sysError('ELOOP', 'EINVAL', 'ENXIO'));

/** Makes a folder in a folder of state; a link in its place is refused. @throws SysError */
export function ensureStateFolder(path: string, mode: number): void {
  ensureFolder(path, mode);
  refuseLink(path);
}

/**
 * The names in a folder of state; none if there is no such folder. A link in its place is refused.
 * @throws SysError
 */
export function listStateFolder(path: string): string[] {
  refuseLink(path);
  return listFolder(path);
}

/**
 * Deletes a state file, or a link of its name; absence is accepted. A folder of its name stays: no
 * call of ours made it. @throws SysError
 */
export function deleteState(path: string): void {
  recover(() => deleteFile(path), sysError('EISDIR'));
}

/**
 * The file of a name as "device:inode", links not followed; undefined if there is none.
 * @throws SysError
 */
export const stateFileId = (path: string): string | undefined => {
  const stat = lstatIfAny(path);
  return stat && `${stat.dev}:${stat.ino}`;
};

/** Opens a file without following a link in its place. @throws SysError, ELOOP in words of ours */
export function openWithoutFollowing(path: string, flags: number, mode?: number): number {
  return withoutFollowing(path, () => openSync(path, flags | constants.O_NOFOLLOW, mode));
}

function withoutFollowing<T>(path: string, body: () => T): T {
  try {
    return sys(body, path);
  } catch (error) {
    if (isSysError(error, 'ELOOP')) throw linkRefused('open', path);
    throw error;
  }
}

/** Refuses a link in the place of a folder of state. @throws SysError ELOOP */
export function refuseLink(path: string): void {
  if (lstatIfAny(path)?.isSymbolicLink() === true) throw linkRefused('lstat', path);
}

const linkRefused = (syscall: string, path: string): SysError =>
  new SysError(syscall, 'ELOOP', {
    path,
    reason: 'it is a symbolic link, which is not followed here',
  });

const lstatIfAny = (path: string): BigIntStats | undefined =>
  ifAny(() => sys(() => lstatSync(path, { bigint: true }), path));
