/** static: answers with the addresses that its configuration or its caller names. CNI SPEC §4 (IPAM); example: conf/40-static-ptp.conflist. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import { requirePrevResult } from '#lib/cni/prev-result.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { staticAnswer, UnreadConfig } from './config.ts';

export const staticIpam = definePlugin({
  name: 'static',
  versions: SPEC_VERSIONS,
  config: UnreadConfig,

  add(call) {
    return staticAnswer(call);
  },

  check(call) {
    const { ips } = staticAnswer(call);
    const given = requirePrevResult(call, 'Required prevResult missing').ips;
    const { ifName } = call.attachment;
    for (const { address, gateway } of ips) {
      const found = given.filter((ip) => ip.address.equals(address));
      if (found.length === 0) throw broken(`Failed to find addr ${address}`, ifName);
      const isRight = gateway === undefined || found.some((ip) => ip.gateway?.equals(gateway));
      if (!isRight) throw broken(`Failed to match addr ${address} via ${gateway}`, ifName);
    }
  },

  // Nothing was reserved.
  del() {},
  gc() {},

  status(call) {
    staticAnswer(call);
  },
});

const broken = (what: string, ifName: string): CniError =>
  new CniError(CODE.INTERNAL, `static: ${what} on interface ${ifName}`);
