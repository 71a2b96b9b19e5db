/** Where the repository and its build are. */
import { join } from 'node:path';

/** The repository's folder. */
export const ROOT = join(import.meta.dirname, '..', '..');

/** The folder of the packed executables, as it is named inside the repository, and its whole path. */
export const BIN_FOLDER = join('dist', 'bin');
export const BUILT_BIN = join(ROOT, BIN_FOLDER);
