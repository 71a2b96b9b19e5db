/**
 * static: answers with the addresses that its configuration or its caller names. CNI SPEC §4
 * (IPAM); example: conf/40-static-ptp.conflist.
 */
import { attempt, broken } from '#lib/cni/finding.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import { requirePrevResult } from '#lib/cni/prev-result.ts';
import { NoKeys } from '#lib/cni/schema.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { staticAnswer, StaticConfig } from './config.ts';

export const staticIpam = definePlugin({
  name: 'static',
  versions: SPEC_VERSIONS,
  config: StaticConfig,
  teardown: NoKeys,

  add: staticAnswer,

  *check(call) {
    const { ips } = staticAnswer(call);
    const given = requirePrevResult(call, 'Required prevResult missing').ips;
    const where = `on interface ${call.attachment.ifName}`;
    for (const { address, gateway } of ips) {
      const found = given.filter((ip) => ip.address.equals(address));
      const isRight = gateway === undefined || found.some((ip) => ip.gateway?.equals(gateway));
      if (found.length === 0) yield broken(`static: Failed to find addr ${address} ${where}`);
      else if (!isRight) {
        yield broken(`static: Failed to match addr ${address} via ${gateway} ${where}`);
      }
    }
  },

  // Nothing was reserved.
  del() {},
  gc() {},

  status: (call) => attempt(() => void staticAnswer(call)),
});
