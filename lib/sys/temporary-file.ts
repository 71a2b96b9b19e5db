/**
 * Files that appear whole: written under a name of their own, then given the right one. Their writer holds a lock on them as long as
 * it lives, so that what others see of a dead one's can be told and removed.
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

/** How often a name is tried: somebody may remove the file in the moment before it is locked. */
const NAME_TRIES = 10;

/** A file, mode 0600, in the folder of the path that it is for. `using` removes it, unless it was moved there. */
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

  /** Gives it a second name, that nothing has yet. @returns false if something has it. @throws SysError */
  linkTo(path: string): boolean {
    return linkFile(this.path, path);
  }

  /** Gives it another name, in place of any file that had it. @throws SysError */
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

/** Removes a file that nobody needs: a file that can't be removed does no harm. @returns whether it is gone */
export const discardFile = (path: string): boolean =>
  succeeds(() => void deleteFile(path), sysError());

/** Writes a file so that it appears whole, mode 0600, in place of any that was there. @throws SysError */
export function replaceFile(path: string, content: string): void {
  using file = new TemporaryFile(path, content);
  file.moveTo(path);
}

/** Removes the temporary files of a folder whose writers died. @throws SysError */
export function discardAbandoned(folder: string): void {
  for (const name of listFolder(folder)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(folder, name);
    using lock = lockFileIfFree(path);
    if (lock !== undefined) discardFile(path);
  }
}
