/**
 * The result cache: what ADD resulted in, kept for CHECK, DEL and GC. Format and folder are
 * libcni's, so that either cnitool undoes what the other did; unlike libcni's, entries appear whole
 * or not at all.
 */
import { toCniError } from '#lib/cni/error.ts';
import { encodeResult, parseResultOfAnyVersion, type Result } from '#lib/cni/result.ts';
import { DEFAULT_VERSION } from '#lib/cni/version.ts';
import { join } from '#lib/sys/file.ts';
import { replaceFile } from '#lib/sys/temporary-file.ts';
import { deleteState, ensureStateFolder, listStateFolder, readState } from '#lib/sys/state-file.ts';
import type { RuntimeAttachment } from './attachment.ts';
import { type CacheFile, type Json, parseCacheFile } from './config.ts';
import type { Network } from './network-list.ts';

/** libcni's default. */
export const CACHE_DIR = '/var/lib/cni';

const FOLDER_MODE = 0o700;

/** An attachment of the cache, with its network and its result. */
export interface CachedAttachment extends RuntimeAttachment {
  readonly network: string;
  readonly result: Json;
}

/** A file of the cache that names no attachment: a bare result of long ago, or a fault. */
export interface OtherCacheFile {
  readonly file: string;
  /** Undefined if it cannot be read. */
  readonly result: Json | undefined;
  readonly fault: string;
}

const folder = (cacheDir: string): string => join(cacheDir, 'results');

const fileName = (network: string, { containerID, ifName }: RuntimeAttachment): string =>
  `${network}-${containerID}-${ifName}`;

const pathOf = (
  cacheDir: string,
  { name }: Pick<Network, 'name'>,
  attachment: RuntimeAttachment,
): string => join(folder(cacheDir), fileName(name, attachment));

/** Keeps the result of an ADD; `cniVersion` is the result's. @throws SysError */
export function saveResult(
  cacheDir: string,
  network: Network,
  attachment: RuntimeAttachment,
  result: Json,
): void {
  ensureStateFolder(folder(cacheDir), FOLDER_MODE);
  const path = pathOf(cacheDir, network, attachment);
  replaceFile(path, encodeEntry(network, attachment, result));
}

/** An entry as libcni writes it, key for key. */
function encodeEntry(network: Network, attachment: RuntimeAttachment, result: Json): string {
  const { containerID, ifName, netns, cniArgs, capabilityArgs } = attachment;
  return JSON.stringify({
    kind: 'cniCacheV1',
    containerId: containerID,
    config: Buffer.from(network.text).toString('base64'),
    ifName,
    networkName: network.name,
    netns: netns || undefined,
    cniArgs: cniArgs.length === 0 ? undefined : cniArgs,
    capabilityArgs: Object.keys(capabilityArgs).length === 0 ? undefined : capabilityArgs,
    result,
  });
}

/**
 * The result of an attachment's ADD; undefined if there is none. @throws CniError if the entry is
 * corrupt; SysError
 */
export function loadResult(
  cacheDir: string,
  network: Pick<Network, 'name'>,
  attachment: RuntimeAttachment,
): Result | undefined {
  const text = readState(pathOf(cacheDir, network, attachment));
  return text === undefined ? undefined : readResult(parseCacheFile(text).result);
}

/**
 * A cached result says which version it is in; the configuration may have moved on since.
 * @throws CniError
 */
export const readResult = (json: Json): Result =>
  parseResultOfAnyVersion(json, DEFAULT_VERSION, 'cached result');

/** The JSON of a result in a version. @throws CniError if that version has no shape for it */
export const resultJson = (result: Result, cniVersion: string): Json =>
  JSON.parse(encodeResult(result, cniVersion)) as Json;

/** Deletes the result of an attachment; absence is accepted. @throws SysError */
export function deleteResult(
  cacheDir: string,
  network: Pick<Network, 'name'>,
  attachment: RuntimeAttachment,
): void {
  deleteState(pathOf(cacheDir, network, attachment));
}

/** Everything in the cache, by the files' names. @throws SysError */
export function listCache(cacheDir: string): (CachedAttachment | OtherCacheFile)[] {
  return listStateFolder(folder(cacheDir))
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .map((name) => loadEntry(folder(cacheDir), name));
}

function loadEntry(path: string, file: string): CachedAttachment | OtherCacheFile {
  try {
    const text = readState(join(path, file));
    if (text === undefined) return { file, result: undefined, fault: 'it has just gone' };
    const entry = parseCacheFile(text);
    if (!('kind' in entry) || !isComplete(entry)) return { file, result: entry.result, fault: '' };
    const attachment = toAttachment(entry);
    if (fileName(attachment.network, attachment) === file) return attachment;
    // To delete the attachment that it names would delete another file.
    return { file, result: undefined, fault: 'it tells of another attachment than its name' };
  } catch (error) {
    return { file, result: undefined, fault: toCniError(error).message };
  }
}

const isComplete = ({ ifName, networkName }: CacheFile): boolean =>
  ifName !== '' && networkName !== '';

const toAttachment = (entry: CacheFile): CachedAttachment => ({
  network: entry.networkName,
  containerID: entry.containerId,
  ifName: entry.ifName,
  netns: entry.netns,
  cniArgs: entry.cniArgs,
  capabilityArgs: entry.capabilityArgs,
  result: entry.result,
});
