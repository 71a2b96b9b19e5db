/**
 * What attachments have, kept from ADD to DEL: <dataDir>/<containerID>:<ifName>:<network's digits>.json. The rules themselves
 * have no owner, and all pods share chains: the last one to leave is the one whose file is the last.
 */
import type { Owner } from '#lib/cni/attachment.ts';
import { cleanUp, CniError } from '#lib/cni/error.ts';
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
import { Holding } from './config.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

const ENDING = '.json';

const fileName = ({ containerID, ifName, network }: Owner): string =>
  stateFileName([containerID, ifName, networkTag(network)], { ending: ENDING });

/** Writes what an attachment has, in place of what it had. @throws SysError */
export function saveHolding(dataDir: string, holding: Holding): void {
  ensureFolder(dataDir, FOLDER_MODE);
  const json = { ...holding, addresses: holding.addresses.map(String) };
  replaceFile(join(dataDir, fileName(holding)), `${JSON.stringify(json)}\n`);
}

/** What an attachment has; undefined if nothing is known. @throws SysError */
export const loadHolding = (dataDir: string, owner: Owner): Holding | undefined =>
  load(dataDir, fileName(owner));

/** What all attachments have. @throws SysError */
const listHoldings = (dataDir: string): Holding[] =>
  listFolder(dataDir)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => load(dataDir, name))
    .filter((holding) => holding !== undefined);

/**
 * Adds to `stale` what the network's attachments have that a GC is to collect. A file that nobody can read, of one that is not valid,
 * goes. @throws AggregateError
 */
export function collectStale(dataDir: string, scope: GcScope, stale: Holding[]): void {
  const isStale = staleness(scope, fileName);
  const corruptEnding = `:${networkTag(scope.network)}${ENDING}`;
  const names = listFolder(dataDir).filter((name) => name.endsWith(ENDING));
  cleanUp(
    ...names.map((name) => () => {
      const holding = load(dataDir, name);
      if (!isStale(name, () => provesGone(holding?.evidence))) return;
      if (holding?.network === scope.network) stale.push(holding);
      else if (holding === undefined && name.endsWith(corruptEnding))
        deleteState(join(dataDir, name));
    }),
    () => discardAbandoned(dataDir),
  );
}

/** Forgets an attachment; one that nothing is known of is accepted. @throws SysError */
export function deleteHolding(dataDir: string, owner: Owner): void {
  deleteState(join(dataDir, fileName(owner)));
  discardAbandoned(dataDir);
}

/**
 * Takes addresses from other attachments: what was given out again is not theirs any more, even if their DEL never came here.
 * @throws SysError
 */
export function takeAddresses(dataDir: string, taker: Holding): void {
  for (const other of listOthers(dataDir, [taker])) {
    const rest = other.addresses.filter((own) => !taker.addresses.some((its) => its.equals(own)));
    if (rest.length === other.addresses.length) continue;
    if (rest.length === 0) deleteHolding(dataDir, other);
    else saveHolding(dataDir, { ...other, addresses: rest });
  }
}

/** Whether two keys mean the same interface of the same container in the same network. */
const isSameOwner = (a: Owner, b: Owner): boolean => fileName(a) === fileName(b);

/** What all attachments but these have. @throws SysError */
export const listOthers = (dataDir: string, owners: readonly Owner[]): Holding[] =>
  listHoldings(dataDir).filter((holding) => !owners.some((own) => isSameOwner(own, holding)));

/** Keeps other calls away from the shared chains; `using` lets them go on. @throws LockTimeout, SysError */
export function lockChains(dataDir: string): Disposable {
  ensureFolder(dataDir, FOLDER_MODE);
  return lockFile(join(dataDir, 'lock'), FILE_MODE);
}

/** A file that tells of another attachment than its name does is nobody's: what follows from it must stay in the folder. */
function load(dataDir: string, name: string): Holding | undefined {
  const path = join(dataDir, name);
  const text = readStateIfRegular(path);
  if (text === undefined) return undefined;
  const parse = () => parseWith(Holding, parseJsonText(text), path);
  // Without a corrupt file, DEL goes by the prevResult.
  const holding = recover(parse, instanceOf(CniError, SyntaxError));
  return holding !== undefined && fileName(holding) === name ? holding : undefined;
}
