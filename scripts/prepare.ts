/** What a fresh Debian machine still lacks for the demo and the tests: programs of Debian packages, and the build. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';

const ROOT = join(import.meta.dirname, '..');

/** What the build makes last: while it is not there, nothing is built. */
const EXECUTABLE = join(ROOT, 'dist', 'bin', 'cni-suite');

/** What the executables are made of. */
const SOURCES = [
  'lib',
  'plugins',
  'cmd',
  join('scripts', 'build.ts'),
  join('scripts', 'compile.cjs'),
  join('scripts', 'executable.ts'),
  join('scripts', 'loader.cjs'),
  'package.json',
];

/** Where ip and nft are; the PATH of a root made by plain `su` lacks them. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** The plugins that the build looks at use node:ffi: nothing that a newcomer need worry about. */
const QUIET = '--disable-warning=ExperimentalWarning';

/** Another package manager is given this long to finish. */
const DPKG_LOCK_TIMEOUT_S = 120;

/** Something that this machine lacks and that could not be got: the message is meant for people. */
export class NotPrepared extends Error {
  override name = 'NotPrepared';
}

/** `apt-get update`, once for the whole process. */
let updated: Promise<unknown> | undefined;

/**
 * Sees to it that commands can be run, here and in children: installs the Debian packages of those that are missing. Needs
 * root and apt-get if one is. From then on PATH has the system's folders and no node_modules/.bin, where an `nft` is that
 * has nothing to do with nftables. @throws NotPrepared that names what is missing
 */
export async function ensureTools(packages: Readonly<Record<string, string>>): Promise<void> {
  process.env['PATH'] = systemPath(process.env['PATH'] ?? '');
  const missing = missingCommands(packages);
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((command) => packages[command] ?? command))];
  const what = `${missing.join(', ')} (Debian package ${names.join(', ')})`;
  if (process.getuid?.() !== 0)
    throw new NotPrepared(`Only root can install what is missing: ${what}`);
  if (!hasCommand('apt-get')) throw new NotPrepared(`Install what is missing: ${what}`);
  console.log(`Installing with apt-get what is missing: ${what}`);
  // Sources that can't be reached are no reason to give up: the packages may be known already.
  await (updated ??= aptGet('update'));
  const { failed, stderr, shortMessage } = await aptGet(
    'install',
    '-y',
    '--no-install-recommends',
    ...names,
  );
  if (failed) {
    const reason = stderr.trim().split('\n').at(-1) || shortMessage;
    throw new NotPrepared(`Cannot install what is missing: ${what}: ${reason}`);
  }
  const still = missingCommands(packages);
  if (still.length > 0) throw new NotPrepared(`Installed ${names}, but ${still} is still missing`);
}

function systemPath(path: string): string {
  const local = join('node_modules', '.bin');
  const folders = path
    .split(delimiter)
    .filter((folder) => folder !== '' && !folder.endsWith(local));
  return [...new Set([...folders, ...SYSTEM_FOLDERS])].join(delimiter);
}

const missingCommands = (packages: Readonly<Record<string, string>>): string[] =>
  Object.keys(packages).filter((command) => !hasCommand(command));

/** Whether PATH leads to a command, or its own path does. */
function hasCommand(command: string): boolean {
  if (command.startsWith('/')) return isExecutable(command);
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => isExecutable(join(folder, command)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Absent, or not for us: either way it can't be run from here.
    return false;
  }
}

const aptGet = (...args: string[]) =>
  execa('apt-get', ['-q', '-o', `DPkg::Lock::Timeout=${DPKG_LOCK_TIMEOUT_S}`, ...args], {
    stdin: 'ignore',
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    reject: false,
  });

/** Builds dist/bin if it is not there or older than what it is made of. @throws NotPrepared */
export async function ensureBuilt(): Promise<void> {
  const built = statSync(EXECUTABLE, { throwIfNoEntry: false })?.mtimeMs;
  if (built !== undefined && built >= newest(SOURCES)) return;
  console.log(
    `Building dist/bin: ${built === undefined ? 'it is not there' : 'it is out of date'}`,
  );
  const build = await execa(process.execPath, [QUIET, 'scripts/build.ts'], {
    cwd: ROOT,
    stdio: 'inherit',
    reject: false,
  });
  if (build.failed) throw new NotPrepared('The build failed; its own words are above');
}

/** When the newest of these files, and of the files in these folders, was last changed. */
function newest(paths: readonly string[]): number {
  const files = paths.flatMap((path) => {
    if (statSync(join(ROOT, path)).isFile()) return [join(ROOT, path)];
    return readdirSync(join(ROOT, path), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
  });
  // A file that somebody's editor has just put away is none.
  return Math.max(...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
