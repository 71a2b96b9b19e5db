/**
 * The admissions of attachments, kept from ADD to DEL: <dataDir>/<containerID>:<ifName>:<network's
 * digits>.json. The rules themselves name no owner, and all pods share chains: the chains go with
 * the last file.
 */
import type { Owner } from '#lib/cni/attachment.ts';
import { CniError, type RunStep } from '#lib/cni/error.ts';
import { provesGone } from '#lib/ownership/evidence.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import { parseJsonText } from '#lib/cni/json.ts';
import { parseWith } from '#lib/cni/schema.ts';
import { stateFileName } from '#lib/ownership/file-name.ts';
import { networkTag } from '#lib/ownership/owner.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { ensureFolder, join, listFolder } from '#lib/sys/file.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { discardAbandoned, replaceFile } from '#lib/sys/temporary-file.ts';
import { lockFile } from '#lib/sys/lock.ts';
import { deleteState, readStateIfRegular } from '#lib/sys/state-file.ts';
import { Admission } from './config.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

const ENDING = '.json';

const fileName = ({ containerID, ifName, network }: Owner): string =>
  stateFileName([containerID, ifName, networkTag(network)], { ending: ENDING });

/** Writes an attachment's admission, in place of an earlier one. @throws SysError */
export function saveAdmission(dataDir: string, admission: Admission): void {
  ensureFolder(dataDir, FOLDER_MODE);
  const json = { ...admission, addresses: admission.addresses.map(String) };
  replaceFile(join(dataDir, fileName(admission)), `${JSON.stringify(json)}\n`);
}

/** An attachment's admission; undefined if there is none, or a corrupt file. @throws SysError */
export const loadAdmission = (dataDir: string, owner: Owner): Admission | undefined =>
  load(dataDir, fileName(owner));

/** The admissions of all attachments. @throws SysError */
const listAdmissions = (dataDir: string): Admission[] =>
  listFolder(dataDir)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => load(dataDir, name))
    .filter((admission) => admission !== undefined);

/**
 * The admissions of the network's attachments that a GC is to collect; each file is read as a step.
 * Deletes the corrupt files of the network's attachments that are not valid, and abandoned
 * temporary files.
 */
export function collectStale(dataDir: string, scope: GcScope, run: RunStep): Admission[] {
  const isStale = staleness(scope, fileName);
  const ending = `:${networkTag(scope.network)}${ENDING}`;
  const collect = (name: string): Admission | undefined => {
    const admission = load(dataDir, name);
    if (!isStale(name, () => provesGone(admission?.evidence))) return undefined;
    if (admission === undefined && name.endsWith(ending)) deleteState(join(dataDir, name));
    return admission?.network === scope.network ? admission : undefined;
  };
  const names = run(() => listFolder(dataDir)) ?? [];
  const stale = names
    .filter((name) => name.endsWith(ENDING))
    .map((name) => run(() => collect(name)))
    .filter((admission) => admission !== undefined);
  run(() => discardAbandoned(dataDir));
  return stale;
}

/** Deletes an attachment's admission; absence is accepted. @throws SysError */
export function deleteAdmission(dataDir: string, owner: Owner): void {
  deleteState(join(dataDir, fileName(owner)));
  discardAbandoned(dataDir);
}

/**
 * Takes addresses out of the admissions of other attachments: an address that was given out again
 * is not theirs any more, even if their DEL never came here. @throws SysError
 */
export function takeAddresses(dataDir: string, taker: Admission): void {
  for (const other of listOthers(dataDir, [taker])) {
    const rest = other.addresses.filter((own) => !taker.addresses.some((its) => its.equals(own)));
    if (rest.length === other.addresses.length) continue;
    if (rest.length === 0) deleteAdmission(dataDir, other);
    else saveAdmission(dataDir, { ...other, addresses: rest });
  }
}

/** Whether two keys mean the same interface of the same container in the same network. */
const isSameOwner = (a: Owner, b: Owner): boolean => fileName(a) === fileName(b);

/** The admissions of all attachments but these. @throws SysError */
export const listOthers = (dataDir: string, owners: readonly Owner[]): Admission[] =>
  listAdmissions(dataDir).filter((admission) => !owners.some((own) => isSameOwner(own, admission)));

/**
 * Keeps other calls away from the shared chains; `using` lets them go on. @throws LockTimeout,
 * SysError
 */
export function lockChains(dataDir: string): Disposable {
  ensureFolder(dataDir, FOLDER_MODE);
  return lockFile(join(dataDir, 'lock'), FILE_MODE);
}

/**
 * A file that names another attachment than its own name does is not used: its content must lead
 * nobody out of the folder.
 */
function load(dataDir: string, name: string): Admission | undefined {
  const path = join(dataDir, name);
  const text = readStateIfRegular(path);
  if (text === undefined) return undefined;
  const parse = () => parseWith(Admission, parseJsonText(text), path);
  // If the file is corrupt, DEL goes by the prevResult.
  const admission = recover(parse, instanceOf(CniError, SyntaxError));
  return admission !== undefined && fileName(admission) === name ? admission : undefined;
}
