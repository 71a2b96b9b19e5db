/**
 * The delegates' configurations, kept from ADD to DEL: <dataDir>/<containerID>:<ifName>. The reference plugin knows them by
 * the container alone, in <dataDir>/<containerID>: the first attachment's file has that name too, so that either plugin
 * deletes what the other added.
 */
import type { AttachmentKey } from '#lib/cni/attachment.ts';
import { parseJsonIfAny } from '#lib/cni/json.ts';
import { isRecord } from '#lib/cni/schema.ts';
import { ensureFolder, linkFile, listFolder, replaceFile, join } from '#lib/sys/file.ts';
import { deleteState, readStateIfRegular, stateFileId } from '#lib/sys/state-file.ts';
import type { Json } from './delegate-config.ts';

const FOLDER_MODE = 0o700;

/** A colon can be in neither a container ID nor an interface's name. */
const SEPARATOR = ':';

const ownPath = (dataDir: string, { containerID, ifName }: AttachmentKey): string =>
  join(dataDir, `${containerID}${SEPARATOR}${ifName}`);

const sharedPath = (dataDir: string, { containerID }: AttachmentKey): string =>
  join(dataDir, containerID);

/** Saves a configuration, whole or not at all; `undo` brings back what was saved before. @throws SysError */
export function saveConfig(
  dataDir: string,
  key: AttachmentKey,
  text: string,
  undo: DisposableStack,
): void {
  const before = readStateIfRegular(ownPath(dataDir, key));
  undo.defer(() =>
    before === undefined ? deleteConfig(dataDir, key) : writeConfig(dataDir, key, before),
  );
  ensureFolder(dataDir, FOLDER_MODE);
  writeConfig(dataDir, key, text);
}

function writeConfig(dataDir: string, key: AttachmentKey, text: string): void {
  const [own, shared] = [ownPath(dataDir, key), sharedPath(dataDir, key)];
  if (isSameFile(own, shared)) deleteState(shared);
  replaceFile(own, text);
  linkFile(own, shared);
}

/** The configuration that was saved; undefined if there is none, or a crash spoilt it. @throws SysError */
export function loadConfig(dataDir: string, key: AttachmentKey): Json | undefined {
  const own = readStateIfRegular(ownPath(dataDir, key));
  if (own !== undefined) return parse(own);
  if (belongsToOther(dataDir, key)) return undefined;
  const shared = readStateIfRegular(sharedPath(dataDir, key));
  return shared === undefined ? undefined : parse(shared);
}

function parse(text: string): Json | undefined {
  // Empty or cut short: DEL does without.
  const json = parseJsonIfAny(text);
  return isRecord(json) && typeof json['type'] === 'string' ? json : undefined;
}

/** Removes what was saved for an attachment; nothing is accepted. @throws SysError */
export function deleteConfig(dataDir: string, key: AttachmentKey): void {
  if (!belongsToOther(dataDir, key)) deleteState(sharedPath(dataDir, key));
  deleteState(ownPath(dataDir, key));
}

/** Whether the file of the container's name is another attachment's of the same container. */
function belongsToOther(dataDir: string, key: AttachmentKey): boolean {
  const shared = sharedPath(dataDir, key);
  if (stateFileId(shared) === undefined || isSameFile(shared, ownPath(dataDir, key))) return false;
  return savedKeys(dataDir)
    .filter(({ containerID, ifName }) => containerID === key.containerID && ifName !== key.ifName)
    .some((other) => isSameFile(shared, ownPath(dataDir, other)));
}

function isSameFile(a: string, b: string): boolean {
  const id = stateFileId(a);
  return id !== undefined && id === stateFileId(b);
}

/** The attachments that something is saved for; `ifName` is empty where only the container is known. */
function savedKeys(dataDir: string): AttachmentKey[] {
  return listFolder(dataDir)
    .filter((name) => !name.startsWith('.'))
    .map((name) => {
      const [containerID = '', ifName = ''] = name.split(SEPARATOR);
      return { containerID, ifName };
    });
}

/** Removes what was saved for attachments of a network that are not valid, and what no DEL could use. @throws SysError */
export function gcConfigs(dataDir: string, network: string, valid: readonly AttachmentKey[]): void {
  for (const { containerID, ifName } of savedKeys(dataDir)) {
    const path =
      ifName === '' ? join(dataDir, containerID) : ownPath(dataDir, { containerID, ifName });
    const saved = parse(readStateIfRegular(path) ?? '');
    const isWanted = valid.some(
      (key) => key.containerID === containerID && (ifName === '' || key.ifName === ifName),
    );
    if (saved === undefined || (saved['name'] === network && !isWanted)) deleteState(path);
  }
}
