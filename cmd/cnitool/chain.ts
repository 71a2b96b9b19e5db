/**
 * The plugins of a network, run one after the other as the specification (§3 "Execution of Network
 * Configurations") wants it.
 */
import { cleanUp, CniError, CODE, step } from '#lib/cni/error.ts';
import { isName } from '#lib/cni/environment.ts';
import { parseResultOfAnyVersion, type Result } from '#lib/cni/result.ts';
import { isAtLeast, isSpecVersion, SPEC_VERSIONS, type SpecVersion } from '#lib/cni/version.ts';
import { log } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import type { RuntimeAttachment } from './attachment.ts';
import { deleteResult, listCache, loadResult, resultJson, saveResult } from './cache.ts';
import type { Json } from './config.ts';
import type { Network } from './network-list.ts';
import { type Host, runAdd, runCommand } from './plugin-run.ts';

/** An ADD that failed after some of its plugins had succeeded: what those made is still there. */
export class AddIncomplete extends CniError {}

/**
 * ADD: each plugin gets the result of the one before; the last one's is kept in the cache.
 * @returns it. @throws AddIncomplete; CniError if the first plugin failed. Nothing is undone: that
 * is DEL's
 */
export function addNetwork(host: Host, network: Network, attachment: RuntimeAttachment): Json {
  const version = usableVersion(network);
  let prevResult: Json | undefined;
  let begun = false;
  try {
    for (const plugin of network.plugins) {
      const printed = runAdd(host, plugin, { network, attachment, prevResult });
      begun = true;
      prevResult = convert(printed, version, plugin.type);
    }
    const result = prevResult ?? {};
    step(`failed to set network "${network.name}" cached result`, () =>
      saveResult(host.cacheDir, network, attachment, result),
    );
    return result;
  } catch (error) {
    // A plugin that fails cleans up after itself: only those before it left something.
    if (!begun || !(error instanceof CniError)) throw error;
    throw new AddIncomplete(error.code, error.message, error.details, { cause: error });
  }
}

/** A plugin may answer in an older shape than it was asked in: the next one must not. */
function convert(printed: Json, version: SpecVersion, type: string): Json {
  const result: Result = parseResultOfAnyVersion(printed, version, `result of plugin "${type}"`);
  return resultJson(result, version);
}

/** CHECK: every plugin gets the cached result; stops at the first that objects. @throws CniError */
export function checkNetwork(host: Host, network: Network, attachment: RuntimeAttachment): void {
  const version = usableVersion(network);
  if (!isAtLeast(version, '0.4.0')) {
    throw new CniError(
      CODE.INCOMPATIBLE_VERSION,
      `configuration version "${version}" does not support the CHECK command`,
      `cniVersion in "${network.file}" must be "0.4.0" or newer`,
    );
  }
  if (network.disableCheck) return;
  const prevResult = step(`failed to get network "${network.name}" cached result`, () =>
    cachedResult(host, network, attachment),
  );
  for (const plugin of network.plugins) {
    runCommand(host, plugin, 'CHECK', { network, attachment, prevResult });
  }
}

function cachedResult(host: Host, network: Network, attachment: RuntimeAttachment) {
  const result = loadResult(host.cacheDir, network, attachment);
  return result && resultJson(result, network.cniVersion);
}

/**
 * DEL: from the last plugin to the first. A failure keeps the cached result for another try.
 * @throws CniError
 */
export function deleteNetwork(host: Host, network: Network, attachment: RuntimeAttachment): void {
  const prevResult = isAtLeast(usableVersion(network), '0.4.0')
    ? cachedResultOrNone(host, network, attachment)
    : undefined;
  for (const plugin of network.plugins.toReversed()) {
    runCommand(host, plugin, 'DEL', { network, attachment, prevResult });
  }
  deleteResult(host.cacheDir, network, attachment);
}

/** A corrupt entry must not hold up DEL: DEL does without, and the entry is deleted. */
const cachedResultOrNone = (host: Host, network: Network, attachment: RuntimeAttachment) =>
  recover(
    () => cachedResult(host, network, attachment),
    instanceOf(CniError),
    () => {
      deleteResult(host.cacheDir, network, attachment);
      return undefined;
    },
  );

/**
 * GC, with nothing said to be valid: deletes every attachment of the network that is in the cache,
 * whoever made it, then lets the plugins collect what is left. Runs everything.
 * @throws AggregateError of CniErrors
 */
export function collectNetwork(host: Host, network: Network): void {
  const version = usableVersion(network);
  if (network.disableGC) return;
  const cached = listCache(host.cacheDir).filter((entry) => 'containerID' in entry);
  const plugins = isAtLeast(version, '1.1.0') ? network.plugins : [];
  cleanUp(
    ...cached
      .filter((entry) => entry.network === network.name)
      .map((entry) => () => deleteStale(host, network, entry)),
    ...plugins.map((plugin) => () => runCommand(host, plugin, 'GC', { network })),
  );
}

function deleteStale(host: Host, network: Network, attachment: RuntimeAttachment): void {
  const { containerID, ifName } = attachment;
  step(`failed to delete stale attachment ${containerID} ${ifName}`, () =>
    deleteNetwork(host, network, attachment),
  );
}

/**
 * STATUS: stops at the first plugin that is not ready; before 1.1.0 there is nothing to ask.
 * @throws CniError with its code
 */
export function checkStatus(host: Host, network: Network): void {
  if (!isAtLeast(usableVersion(network), '1.1.0')) {
    log(
      `cnitool: nothing was asked: STATUS needs cniVersion 1.1.0, "${network.file}" has ${network.cniVersion}`,
    );
    return;
  }
  for (const plugin of network.plugins) runCommand(host, plugin, 'STATUS', { network });
}

/**
 * Refuses before anything runs what every plugin would refuse. @throws CniError
 * INCOMPATIBLE_VERSION, INVALID_CONFIG
 */
function usableVersion({ name, cniVersion, file }: Network): SpecVersion {
  if (!isName(name)) {
    const details = `"${name}" in "${file}"`;
    throw new CniError(CODE.INVALID_CONFIG, 'invalid characters found in network name', details);
  }
  if (isSpecVersion(cniVersion)) return cniVersion;
  throw new CniError(
    CODE.INCOMPATIBLE_VERSION,
    'incompatible CNI versions',
    `cniVersion in "${file}" is "${cniVersion}", cnitool supports ["${SPEC_VERSIONS.join('" "')}"]`,
  );
}
