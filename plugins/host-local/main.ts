/** host-local: gives out addresses of ranges, kept in files on this node. CNI SPEC §4 (IPAM); example: conf/20-bridge.conflist. */
import { NO_DNS } from '#lib/cni/config.ts';
import { broken } from '#lib/cni/finding.ts';
import { type Call, definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { readText } from '#lib/sys/file.ts';
import { allocate, checkFree } from './allocator.ts';
import {
  dataDir,
  HostLocalConfig,
  HostLocalTeardown,
  rangeSets,
  requestedAddresses,
} from './config.ts';
import { gatherEvidence } from './evidence.ts';
import { encodeHolder } from './reservation.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { Store } from './store.ts';
import { neverFinished } from './unfinished.ts';

export const hostLocal = definePlugin({
  name: 'host-local',
  versions: SPEC_VERSIONS,
  config: HostLocalConfig,
  teardown: HostLocalTeardown,

  add({ config, cniVersion, network, attachment, env, isDelegate }) {
    const sets = rangeSets(config, cniVersion);
    const requested = requestedAddresses(config, env);
    const { resolvConf = '', routes = [] } = config.ipam ?? {};
    const dns = resolvConf === '' ? NO_DNS : parseResolvConf(readText(resolvConf));
    using store = new Store(dataDir(config), network);
    const evidence = gatherEvidence(attachment, isDelegate);
    const claimant = { holder: attachment, evidence, isRetry: neverFinished(store, attachment) };
    const ips = allocate(store, sets, claimant, requested);
    if (isDelegate) store.guard(attachment);
    return { interfaces: [], ips, routes, dns };
  },

  *check(call) {
    requireSound(call);
    using store = open(call);
    const { containerID } = call.attachment;
    const held = store?.addressesOf(call.attachment) ?? [];
    const heldByContainer = store?.addressesOf({ containerID, ifName: '' }) ?? [];
    if (held.length + heldByContainer.length === 0) {
      yield broken(`host-local: Failed to find address added by container ${containerID}`);
    }
  },

  del(call) {
    using store = open(call);
    store?.release(call.attachment);
  },

  gc(call) {
    using store = open(call);
    // Files of very old releases name the container alone.
    const isStale = staleness(call, encodeHolder, ({ containerID }) => containerID);
    store?.releaseAll((holder, address) =>
      isStale(encodeHolder(holder), () => store.standingOf(address) === 'dead'),
    );
  },

  *status(call) {
    const sets = rangeSets(call.config, call.cniVersion);
    using store = open(call);
    for (const set of sets) if (store !== undefined) yield* checkFree(store, set);
  },
});

/** Refuses a configuration by which no ADD would succeed. @throws CniError INVALID_CONFIG */
function requireSound({ config, cniVersion }: Call<HostLocalConfig>): void {
  rangeSets(config, cniVersion);
}

/** The network's reservations, if there ever were any. */
const open = ({ config, network }: Call<HostLocalTeardown>): Store | undefined =>
  Store.openIfAny(dataDir(config), network);
