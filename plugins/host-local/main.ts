/** host-local: gives out addresses of ranges, kept in files on this node. CNI SPEC §4 (IPAM); example: conf/20-bridge.conflist. */
import { NO_DNS } from '#lib/cni/config.ts';
import { broken } from '#lib/cni/finding.ts';
import { type Call, definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import { readText } from '#lib/sys/file.ts';
import { allocate, checkFree } from './allocator.ts';
import {
  HostLocalConfig,
  HostLocalTeardown,
  networkFolder,
  rangeSets,
  requestedAddresses,
} from './config.ts';
import { gatherEvidence } from './evidence.ts';
import { encodeOwner } from './reservation.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { Store } from './store.ts';
import { neverFinished } from './unfinished.ts';

export const hostLocal = definePlugin({
  name: 'host-local',
  versions: SPEC_VERSIONS,
  config: HostLocalConfig,
  teardown: HostLocalTeardown,

  add(call) {
    const { config, cniVersion, attachment, env, isDelegate } = call;
    const sets = rangeSets(config, cniVersion);
    const addresses = requestedAddresses(config, env);
    const { resolvConf = '', routes = [] } = config.ipam ?? {};
    const dns = resolvConf === '' ? NO_DNS : parseResolvConf(readText(resolvConf));
    using store = new Store(networkFolder(call));
    const evidence = gatherEvidence(attachment, isDelegate);
    const isRetry = neverFinished(store, attachment);
    const ips = allocate(store, sets, { owner: attachment, evidence, isRetry, addresses });
    if (isDelegate) store.guard(attachment);
    return { interfaces: [], ips, routes, dns };
  },

  *check(call) {
    requireSound(call);
    using store = Store.openIfAny(networkFolder(call));
    const { containerID } = call.attachment;
    const own = store?.addressesOf(call.attachment) ?? [];
    const ofContainer = store?.addressesOf({ containerID, ifName: '' }) ?? [];
    if (own.length + ofContainer.length === 0) {
      yield broken(`host-local: Failed to find address added by container ${containerID}`);
    }
  },

  del(call) {
    using store = Store.openIfAny(networkFolder(call));
    store?.release(call.attachment);
  },

  gc(call) {
    using store = Store.openIfAny(networkFolder(call));
    // Files of very old releases name the container alone.
    const isStale = staleness(call, encodeOwner, ({ containerID }) => containerID);
    store?.releaseAll((owner, address) =>
      isStale(encodeOwner(owner), () => store.stateOf(address) === 'dead'),
    );
  },

  *status(call) {
    const sets = rangeSets(call.config, call.cniVersion);
    using store = Store.openIfAny(networkFolder(call));
    for (const set of sets) if (store !== undefined) yield* checkFree(store, set);
  },
});

/** Refuses a configuration by which no ADD would succeed. @throws CniError INVALID_CONFIG */
function requireSound({ config, cniVersion }: Call<HostLocalConfig>): void {
  rangeSets(config, cniVersion);
}
