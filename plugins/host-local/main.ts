/** host-local: gives out addresses of ranges, kept in files on this node. CNI SPEC §4 (IPAM); example: conf/20-bridge.conflist. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { isValid, NO_DNS } from '#lib/cni/config.ts';
import { type Call, definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { readText } from '#lib/sys/file.ts';
import { allocate, freeAddresses } from './allocator.ts';
import { dataDir, HostLocalConfig, rangeSets, requestedAddresses } from './config.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { Store } from './store.ts';

export const hostLocal = definePlugin({
  name: 'host-local',
  versions: SPEC_VERSIONS,
  config: HostLocalConfig,

  add({ config, cniVersion, network, attachment, env }) {
    const sets = rangeSets(config, cniVersion);
    const requested = requestedAddresses(config, env);
    const { resolvConf = '', routes = [] } = config.ipam ?? {};
    const dns = resolvConf === '' ? NO_DNS : parseResolvConf(readText(resolvConf));
    using store = new Store(dataDir(config), network);
    return { interfaces: [], ips: allocate(store, sets, attachment, requested), routes, dns };
  },

  check(call) {
    using store = open(call);
    const { containerID } = call.attachment;
    const held = store?.addressesOf(call.attachment) ?? [];
    const heldByContainer = store?.addressesOf({ containerID, ifName: '' }) ?? [];
    if (held.length + heldByContainer.length === 0) {
      throw new CniError(
        CODE.INTERNAL,
        `host-local: Failed to find address added by container ${containerID}`,
      );
    }
  },

  del(call) {
    using store = open(call);
    store?.release(call.attachment);
  },

  gc(call) {
    const { valid } = call;
    // Without a list nothing is known to be dead.
    if (valid === undefined) return;
    using store = open(call);
    store?.releaseAll(({ containerID, ifName }) =>
      ifName === ''
        ? !valid.some((key) => key.containerID === containerID)
        : !isValid(valid, { containerID, ifName }),
    );
  },

  status(call) {
    const sets = rangeSets(call.config, call.cniVersion);
    using store = open(call);
    const reserved = store?.reserved() ?? [];
    for (const set of sets) {
      if (freeAddresses(reserved, set) <= 0n) {
        throw new CniError(
          CODE.PLUGIN_NOT_AVAILABLE,
          `no IP addresses available in range set: ${set}`,
          `all ${set.capacity} addresses are reserved in "${store?.folder}"`,
        );
      }
    }
  },
});

/** The network's reservations, if there ever were any; the configuration must be sound all the same. */
function open({ config, cniVersion, network }: Call<HostLocalConfig>): Store | undefined {
  rangeSets(config, cniVersion);
  return Store.openIfAny(dataDir(config), network);
}
