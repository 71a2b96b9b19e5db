/**
 * Commands that scripts and tests call, and the Debian packages that have them: tools.json, which .ci/run reads as well. "packages"
 * is the table, "tests" are the commands that `npm test` needs, "guests" those that another kernel needs, which it can do without.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { ScriptFailure } from './failure.ts';
import table from './tools.json' with { type: 'json' };

/** A command of the table: a name that PATH leads to, or a path. */
export type Tool = keyof typeof table.packages;

/** What `npm test` needs. */
export const TEST_TOOLS = table.tests as readonly Tool[];

/** What it takes to boot another kernel. */
export const GUEST_TOOLS = table.guests as readonly Tool[];

/** Where ip and nft are; the PATH of a root made by plain `su` lacks them. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Another package manager is given this long to finish. */
const DPKG_LOCK_TIMEOUT_S = 120;

/** `apt-get update`, once for the whole process. */
let updated: Promise<unknown> | undefined;

/**
 * Sees to it that commands can be run, here and in children: installs the Debian packages of those that are missing. Needs
 * root and apt-get if one is. From then on PATH is a systemPath(). @throws ScriptFailure that names what is missing
 */
export async function ensureTools(tools: readonly Tool[]): Promise<void> {
  process.env['PATH'] = systemPath(process.env['PATH'] ?? '');
  const missing = missingTools(tools);
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((tool) => table.packages[tool]))];
  const what = `${missing.join(', ')} (Debian package ${names.join(', ')})`;
  if (process.getuid?.() !== 0)
    throw new ScriptFailure(`Only root can install what is missing: ${what}`);
  if (!hasCommand('apt-get')) throw new ScriptFailure(`Install what is missing: ${what}`);
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
    throw new ScriptFailure(`Cannot install what is missing: ${what}: ${reason}`);
  }
  const still = missingTools(tools);
  if (still.length > 0)
    throw new ScriptFailure(`Installed ${names}, but ${still} is still missing`);
}

/**
 * A PATH with the system's folders and without npm's. npm puts the folders of packages' programs first, and one of those is an `nft`
 * that has nothing to do with nftables.
 */
export function systemPath(path: string): string {
  const folders = path
    .split(delimiter)
    .filter((folder) => folder !== '' && !folder.split('/').includes('node_modules'));
  return [...new Set([...folders, ...SYSTEM_FOLDERS])].join(delimiter);
}

const missingTools = (tools: readonly Tool[]): Tool[] => tools.filter((tool) => !hasCommand(tool));

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
