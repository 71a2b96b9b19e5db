/**
 * Files and folders: synchronous, with SysError for failures. State appears whole or not at all.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  statfsSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { random } from './digest.ts';
import { sys, sysError, SysError } from './error.ts';
import { recover, succeeds } from './recover.ts';

export { dirname, join, resolve } from 'node:path';

/** An open file descriptor, closed by `using`. */
export class FileDescriptor implements Disposable {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** Opens a file for reading. @throws SysError */
export function openFile(path: string): FileDescriptor {
  return new FileDescriptor(sys(() => openSync(path, 'r')));
}

/** No file that we read as text is longer. */
const TEXT_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * The text of a regular file. Anything else is refused: to read it might never end.
 * @throws SysError
 */
export function readText(path: string): string {
  return sys(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readDescriptor(fd, path);
    } finally {
      closeSync(fd);
    }
  }, path);
}

/**
 * The text of an open file, which must be a regular one; `path` names it in errors.
 * @throws SysError EINVAL, EFBIG; Node's own
 */
export function readDescriptor(fd: number, path: string): string {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new SysError('read', 'EINVAL', { path, reason: 'not a regular file' });
  if (stat.size > TEXT_LIMIT_BYTES)
    throw new SysError('read', 'EFBIG', { path, reason: 'file too large' });
  return readFileSync(fd, 'utf8');
}

/** The text of a file, or undefined if there is none. @throws SysError for other failures */
export function readTextIfAny(path: string): string | undefined {
  return ifAny(() => readText(path));
}

const isMissing = sysError('ENOENT', 'ENOTDIR');

/** Runs a call on a file that may be missing: undefined then. */
export const ifAny = <T>(body: () => T): T | undefined => recover(body, isMissing);

/**
 * A file's identity, kind, size and modification time, as stat(2) tells them. Times are nanoseconds
 * since 1970.
 */
export interface FileStat {
  readonly id: string;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly sizeBytes: bigint;
  readonly mtimeNs: bigint;
}

/**
 * The stat of a path, links followed; undefined if nothing is there. `id` is "device:inode".
 * @throws SysError
 */
export function statIfAny(path: string): FileStat | undefined {
  // A name that leads in a circle or is too long leads to nothing either.
  const isNothing = sysError('ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG');
  const stat = recover(() => sys(() => statSync(path, { bigint: true })), isNothing);
  return stat && describe(stat);
}

/** The stat of an open file. @throws SysError */
export function statFd({ fd }: FileDescriptor): FileStat {
  return describe(sys(() => fstatSync(fd, { bigint: true })));
}

function describe(stat: BigIntStats): FileStat {
  return {
    id: `${stat.dev}:${stat.ino}`,
    isFile: stat.isFile(),
    isDirectory: stat.isDirectory(),
    sizeBytes: stat.size,
    mtimeNs: stat.mtimeNs,
  };
}

/** The magic number of the file system that a file lies on (linux/magic.h). @throws SysError */
export function fileSystemMagic(path: string): number {
  return sys(() => statfsSync(path).type);
}

/** The names in a folder; none if there is no such folder. @throws SysError */
export function listFolder(path: string): string[] {
  return ifAny(() => sys(() => readdirSync(path))) ?? [];
}

/** Makes a folder with its parents; one that exists is accepted. @throws SysError */
export function ensureFolder(path: string, mode: number): void {
  if (makeFolder(path, mode, ['EEXIST', 'ENOENT'])) return;
  if (isFolder(path)) return;
  // mkdir's own `recursive` tries for ever if the kernel says ENOENT although the parent is there.
  if (dirname(path) !== path) ensureFolder(dirname(path), mode);
  makeFolder(path, mode, ['EEXIST']);
}

/** @returns whether it was made; false for an accepted errno */
const makeFolder = (path: string, mode: number, accepted: readonly string[]): boolean =>
  succeeds(() => sys(() => mkdirSync(path, { mode })), sysError(...accepted));

/** Removes a file; absence is accepted. @returns whether it was there. @throws SysError */
export const deleteFile = (path: string): boolean =>
  succeeds(() => sys(() => unlinkSync(path)), isMissing);

/** How the names of temporary files begin. No reader takes such a file for state. */
export const TEMPORARY = '.tmp-';

/** A name for a temporary file in the folder of `path`. */
export function temporaryName(path: string): string {
  return join(dirname(path), `${TEMPORARY}${Buffer.from(random(8)).toString('hex')}`);
}

/** Gives a file a second name. @returns false if the name is taken. @throws SysError */
export const linkFile = (existing: string, path: string): boolean =>
  succeeds(() => sys(() => linkSync(existing, path)), sysError('EEXIST'));

/** Sets a folder's or file's modification time, in seconds since 1970. @throws SysError */
export function setModified(path: string, seconds: number): void {
  sys(() => utimesSync(path, seconds, seconds));
}

/**
 * Overwrites a file of the kernel's (/proc, /sys) in one write. Some of them can only be written.
 * @throws SysError
 */
export function writeKernelFile(path: string, content: string): void {
  sys(() => {
    const fd = openSync(path, constants.O_WRONLY);
    try {
      writeSync(fd, content);
    } finally {
      closeSync(fd);
    }
  }, path);
}

/** Whether a path is a folder. @throws SysError */
export const isFolder = (path: string): boolean => statIfAny(path)?.isDirectory === true;

/** Renames a file, in place of any file of the new name. @throws SysError */
export function renameFile(from: string, to: string): void {
  sys(() => renameSync(from, to));
}

/**
 * Copies a file's content to a new file, on disk when it returns. @throws SysError, EEXIST among
 * others
 */
export function copyFile(from: string, to: string, mode: number): void {
  sys(() => {
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    chmodSync(to, mode);
    const fd = openSync(to, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}
