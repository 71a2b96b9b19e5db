/**
 * The delegates' configurations, kept from ADD to DEL: <dataDir>/<containerID>:<ifName>. The
 * reference plugin knows them by the container alone, in <dataDir>/<containerID>: the first
 * attachment's file has that name too, so that either plugin deletes what the other added. Ours
 * hold one key more, which tells when the container is gone; delegates pass over it.
 */
import type { Attachment, AttachmentKey } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { lastingEvidenceOf, provesGone } from '#lib/ownership/evidence.ts';
import { parseJsonIfAny } from '#lib/cni/json.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { isRecord } from '#lib/cni/schema.ts';
import { SEPARATOR, stateFileName } from '#lib/ownership/file-name.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { ensureFolder, linkFile, listFolder, join } from '#lib/sys/file.ts';
import { discardAbandoned, replaceFile } from '#lib/sys/temporary-file.ts';
import { deleteState, readStateIfRegular, stateFileId } from '#lib/sys/state-file.ts';
import { encodeConfig, type Json } from './delegate-config.ts';

const FOLDER_MODE = 0o700;

/** The key of our own in what is saved. */
const EXTRA = 'cniSuite';

const ownPath = (dataDir: string, { containerID, ifName }: AttachmentKey): string =>
  join(dataDir, stateFileName([containerID, ifName]));

const sharedPath = (dataDir: string, { containerID }: AttachmentKey): string =>
  join(dataDir, stateFileName([containerID]));

/**
 * Saves a configuration, whole or not at all; `undo` brings back what was saved before.
 * @throws SysError
 */
export function saveConfig(
  dataDir: string,
  key: Attachment,
  config: Json,
  undo: DisposableStack,
): void {
  const before = readStateIfRegular(ownPath(dataDir, key));
  undo.defer(() =>
    before === undefined ? deleteConfig(dataDir, key) : writeConfig(dataDir, key, before),
  );
  ensureFolder(dataDir, FOLDER_MODE);
  const extra = { [EXTRA]: { sandbox: lastingEvidenceOf(key.netns) } };
  writeConfig(dataDir, key, encodeConfig({ ...config, ...extra }));
}

function writeConfig(dataDir: string, key: AttachmentKey, text: string): void {
  const [own, shared] = [ownPath(dataDir, key), sharedPath(dataDir, key)];
  if (isSameFile(own, shared)) deleteState(shared);
  replaceFile(own, text);
  linkFile(own, shared);
}

/** The saved configuration; undefined if there is none, or a corrupt one. @throws SysError */
export function loadConfig(dataDir: string, key: AttachmentKey): Json | undefined {
  const own = readStateIfRegular(ownPath(dataDir, key));
  if (own !== undefined) return withoutExtra(parse(own));
  if (belongsToOther(dataDir, key)) return undefined;
  const shared = readStateIfRegular(sharedPath(dataDir, key));
  return shared === undefined ? undefined : withoutExtra(parse(shared));
}

function withoutExtra(saved: Json | undefined): Json | undefined {
  if (saved === undefined) return undefined;
  const { [EXTRA]: _, ...config } = saved;
  return config;
}

function parse(text: string): Json | undefined {
  // A corrupt configuration counts as none: DEL does without.
  const json = parseJsonIfAny(text);
  return isRecord(json) && typeof json['type'] === 'string' ? json : undefined;
}

/** Removes what was saved for an attachment; nothing is accepted. @throws SysError */
export function deleteConfig(dataDir: string, key: AttachmentKey): void {
  if (!belongsToOther(dataDir, key)) deleteState(sharedPath(dataDir, key));
  deleteState(ownPath(dataDir, key));
  discardAbandoned(dataDir);
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

/**
 * The attachments that something is saved for; `ifName` is empty where only the container is known.
 */
function savedKeys(dataDir: string): AttachmentKey[] {
  return listFolder(dataDir)
    .filter((name) => !name.startsWith('.'))
    .map((name) => {
      const [containerID = '', ifName = ''] = name.split(SEPARATOR);
      return { containerID, ifName };
    });
}

/**
 * Removes what was saved for the network's attachments that a GC is to collect, and with a list of
 * valid ones what no DEL could use. @throws AggregateError
 */
export function gcConfigs(dataDir: string, scope: GcScope): void {
  // The reference plugin's files name the container alone.
  const isStale = staleness(scope, ({ containerID }) => containerID, attachmentName);
  const collect = (key: AttachmentKey): void => {
    const path = key.ifName === '' ? join(dataDir, key.containerID) : ownPath(dataDir, key);
    const saved = parse(readStateIfRegular(path) ?? '');
    const isDoomed =
      saved === undefined
        ? scope.valid !== undefined
        : saved['name'] === scope.network &&
          isStale(attachmentName(key), () => provesGone(evidenceIn(saved)));
    if (isDoomed) deleteState(path);
  };
  cleanUp(...savedKeys(dataDir).map((key) => () => collect(key)), () => discardAbandoned(dataDir));
}

/** A name that tells attachments of a network apart; without an interface it is the container's. */
const attachmentName = ({ containerID, ifName }: AttachmentKey): string =>
  ifName === '' ? containerID : `${containerID}${SEPARATOR}${ifName}`;

function evidenceIn(saved: Json): string | undefined {
  const extra = saved[EXTRA];
  const evidence = isRecord(extra) ? extra['sandbox'] : undefined;
  return typeof evidence === 'string' ? evidence : undefined;
}
