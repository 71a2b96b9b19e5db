/**
 * Backups: the values that an interface had before ADD, in the reference plugin's files, one for
 * each interface of a container. Ours have one more key, which the reference plugin skips: the
 * network, and the evidence about the container.
 */
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import { CniError, cleanUp } from '#lib/cni/error.ts';
import { parseJsonText } from '#lib/cni/json.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { stateFileName } from '#lib/ownership/file-name.ts';
import {
  describeSandbox,
  formatSandbox,
  isGone,
  parseSandbox,
  type Sandbox,
} from '#lib/ownership/sandbox.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { parseWith } from '#lib/cni/schema.ts';
import type { Link } from '#lib/net/link.ts';
import { sysError } from '#lib/sys/error.ts';
import { dirname, ensureFolder, join, listFolder } from '#lib/sys/file.ts';
import { discardAbandoned, replaceFile } from '#lib/sys/temporary-file.ts';
import { log } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { deleteState, readStateIfRegular } from '#lib/sys/state-file.ts';
import { BackupFile } from './config.ts';
import {
  ATTRIBUTES,
  attributesOf,
  type LinkAttributes,
  namesIn,
  pickAttributes,
} from './link-attributes.ts';

/** The former values of an interface, its network and its namespace. */
export interface Backup {
  readonly former: LinkAttributes;
  /** Undefined in the reference plugin's files. */
  readonly network: string | undefined;
  /** Undefined there too, and if the path is no evidence. */
  readonly sandbox: Sandbox | undefined;
}

const ENDING = '.json';

/** The reference plugin's name. */
const fileName = ({ containerID, ifName }: AttachmentKey): string =>
  stateFileName([containerID, ifName], { separator: '_', ending: ENDING });

/** The path of an interface's backup. */
export const backupPath = (folder: string, key: AttachmentKey): string =>
  join(folder, fileName(key));

/**
 * Saves the values that are about to be changed. A backup that an ADD left when it died is kept:
 * the interface has that ADD's values now, not its own. But a backup of another namespace is
 * replaced.
 * @throws SysError
 */
export function saveBackup(
  folder: string,
  attachment: Attachment,
  link: Link,
  wanted: LinkAttributes,
): void {
  ensureFolder(folder, 0o700);
  const path = backupPath(folder, attachment);
  const sandbox = describeSandbox(attachment.netns);
  const earlier = readBackup(path);
  const kept = earlier && isOf(earlier, sandbox) ? earlier.former : {};
  const former = { ...pickAttributes(attributesOf(link), namesIn(wanted)), ...kept };
  replaceFile(path, encodeBackup({ former, network: attachment.network, sandbox }));
}

/** Whether a backup may be of a namespace: nothing proves that it is of another one. */
export const isOf = (
  { sandbox: known }: Backup,
  sandbox: Pick<Sandbox, 'id'> | undefined,
): boolean => known === undefined || sandbox === undefined || known.id === sandbox.id;

/** The content of a file: the reference plugin's bytes, except for the last key. */
export function encodeBackup({ former, network, sandbox }: Backup): string {
  const cniSuite = { network, sandbox: sandbox && formatSandbox(sandbox) };
  const values = Object.fromEntries(ATTRIBUTES.map((name) => [name, former[name]]));
  return JSON.stringify({ ...values, cniSuite }, null, 1);
}

/** The backup at a path; undefined if there is none, or a corrupt one. @throws SysError */
export function readBackup(path: string): Backup | undefined {
  const text = ifNameFits(() => readStateIfRegular(path));
  if (text === undefined) return undefined;
  const backup = decodeBackup(text);
  if (backup === undefined)
    log(`tuning: backup "${path}" is corrupt: the values before ADD are lost`);
  return backup;
}

/** Runs a call on a file; undefined if its name is too long: then there is no such file. */
const ifNameFits = <T>(body: () => T): T | undefined => recover(body, sysError('ENAMETOOLONG'));

/** Reads a file's content; undefined if it is empty or corrupt. */
export function decodeBackup(text: string): Backup | undefined {
  const read = () => parseWith(BackupFile, parseJsonText(text), 'backup');
  const file = recover(read, instanceOf(CniError, SyntaxError));
  if (file === undefined) return undefined;
  const { cniSuite, ...values } = file;
  const sandbox = parseSandbox(cniSuite?.sandbox ?? '');
  return { former: pickAttributes(values, namesIn(values)), network: cniSuite?.network, sandbox };
}

/** Removes a backup; absence is accepted. @throws SysError */
export function deleteBackup(path: string): void {
  ifNameFits(() => {
    deleteState(path);
  });
  discardAbandoned(dirname(path));
}

/**
 * Removes the backups of the network's attachments that a GC is to collect. Files that name no
 * network stay: they may be any network's.
 * @throws AggregateError
 */
export function gcBackups(folder: string, scope: GcScope): void {
  const isStale = staleness(scope, fileName);
  const names = listFolder(folder).filter((name) => name.endsWith(ENDING));
  cleanUp(
    ...names.map((name) => () => {
      const path = join(folder, name);
      const backup = readBackup(path);
      const isOwn = backup?.network === scope.network;
      if (isOwn && isStale(name, () => isOfGone(backup))) deleteState(path);
    }),
    () => discardAbandoned(folder),
  );
}

const isOfGone = ({ sandbox }: Backup): boolean => sandbox !== undefined && isGone(sandbox);
