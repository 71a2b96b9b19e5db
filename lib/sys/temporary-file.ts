/**
 * Files that appear whole: they are written under a temporary name, then get the right one. The
 * writer locks its file as long as it lives. A temporary file without a lock is abandoned and can
 * be deleted.
 */
import { fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { sys, sysError, SysError } from './error.ts';
import {
  deleteFile,
  FileDescriptor,
  join,
  linkFile,
  listFolder,
  temporaryName,
  TEMPORARY,
} from './file.ts';
import { lockFileIfFree, tryLock } from './lock.ts';
import { succeeds } from './recover.ts';

/** How often a file is made: another process may delete it in the moment before it is locked. */
const NAME_TRIES = 10;

/**
 * A file, mode 0600, in the folder of the path that it is for. `using` deletes it, unless it was
 * moved there.
 */
export class TemporaryFile implements Disposable {
  readonly path: string;
  readonly #file: FileDescriptor;
  #isMoved = false;

  /** Writes it. @throws SysError */
  constructor(target: string, content: string) {
    using undo = new DisposableStack();
    [this.path, this.#file] = createLocked(target);
    undo.defer(() => this[Symbol.dispose]());
    const { fd } = this.#file;
    sys(() => {
      for (let rest = Buffer.from(content); rest.length > 0;) {
        rest = rest.subarray(writeSync(fd, rest));
      }
    }, this.path);
    undo.move();
  }

  /** Gives it a second name. @returns false if the name is taken. @throws SysError */
  linkTo(path: string): boolean {
    return linkFile(this.path, path);
  }

  /** Renames it, in place of any file of the new name. @throws SysError */
  moveTo(path: string): void {
    sys(() => renameSync(this.path, path));
    this.#isMoved = true;
  }

  [Symbol.dispose](): void {
    using _file = this.#file;
    if (!this.#isMoved) discardFile(this.path);
  }
}

function createLocked(target: string): [path: string, file: FileDescriptor] {
  for (let tries = 1; ; tries += 1) {
    const path = temporaryName(target);
    using undo = new DisposableStack();
    const file = undo.use(new FileDescriptor(sys(() => openSync(path, 'wx', 0o600), path)));
    undo.defer(() => discardFile(path));
    if (tryLock(file, path) && sys(() => fstatSync(file.fd)).nlink > 0) {
      undo.move();
      return [path, file];
    }
    if (tries === NAME_TRIES) {
      const reason = 'another process removes our files as soon as they are made';
      throw new SysError('open', 'ENOENT', { path, reason });
    }
  }
}

/**
 * Deletes a file that nobody needs; if it can't be deleted, it does no harm. @returns whether it is
 * gone
 */
export const discardFile = (path: string): boolean =>
  succeeds(() => void deleteFile(path), sysError());

/**
 * Writes a file so that it appears whole, mode 0600, in place of any file of that name.
 * @throws SysError
 */
export function replaceFile(path: string, content: string): void {
  using file = new TemporaryFile(path, content);
  file.moveTo(path);
}

/** Deletes the temporary files in a folder whose writers died. @throws SysError */
export function discardAbandoned(folder: string): void {
  for (const name of listFolder(folder)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(folder, name);
    using lock = lockFileIfFree(path);
    if (lock !== undefined) discardFile(path);
  }
}
