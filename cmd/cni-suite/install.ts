/**
 * Installing: one file, hard-linked under the plugins' names, each name replaced at once and whole.
 */
import { step } from '#lib/cni/error.ts';
import {
  copyFile,
  deleteFile,
  isFolder,
  join,
  linkFile,
  renameFile,
  temporaryName,
} from '#lib/sys/file.ts';
import { OWN_EXECUTABLE } from '#lib/sys/process.ts';
import { COMMAND_NAMES, PLUGIN_NAMES } from './programs.ts';

const MODE = 0o755;

/** The names that can be installed. */
const NAMES: readonly string[] = [...PLUGIN_NAMES, ...COMMAND_NAMES, 'cni-suite'];

/**
 * Puts plugins into a folder, all of them if none is named. A kubelet that executes the old ones is
 * not disturbed; whatever fails, every name stands for a whole file. @returns the paths.
 * @throws Error that names folder and reason
 */
export function install(folder: string, names: readonly string[]): string[] {
  const unknown = names.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0) {
    throw new Error(`Cannot install "${unknown.join('", "')}": there is only ${NAMES.join(', ')}`);
  }
  if (!isFolder(folder))
    throw new Error(`Cannot install into "${folder}": it is not a folder; make it first`);
  return step(`Cannot install into "${folder}"`, () =>
    link(folder, names.length === 0 ? PLUGIN_NAMES : names),
  );
}

function link(folder: string, names: readonly string[]): string[] {
  using undo = new DisposableStack();
  const master = temporaryName(join(folder, 'cni-suite'));
  undo.defer(() => deleteFile(master));
  copyFile(OWN_EXECUTABLE, master, MODE);
  return names.map((name) => {
    const [path, temporary] = [join(folder, name), temporaryName(join(folder, name))];
    undo.defer(() => deleteFile(temporary));
    linkFile(master, temporary);
    renameFile(temporary, path);
    return path;
  });
}
