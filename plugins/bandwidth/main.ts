/** bandwidth: limits what goes to a container and what comes from it. Chained. CNI SPEC §2; example:
 *  conf/12-flannel-portmap-bandwidth.conflist. */
import { openContainer } from '#lib/cni/attachment.ts';
import { CniError, CODE, step } from '#lib/cni/error.ts';
import { findHostVeth } from './host-end.ts';
import { broken, type Findings } from '#lib/cni/finding.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import { requirePrevResult } from '#lib/cni/prev-result.ts';
import { NoKeys } from '#lib/cni/schema.ts';
import { isAtLeast, SPEC_VERSIONS } from '#lib/cni/version.ts';
import { getLink, isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import {
  deleteRootQdisc,
  getRootQdisc,
  listFilters,
  replaceTokenBucket,
  type TokenBucket,
} from '#lib/net/qdisc.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { readTicksPerUs, sameBucket, tokenBucket } from './bucket.ts';
import { BandwidthConfig, type Limit } from './config.ts';
import { gcEgress, ifbName, limitEgress, unlimitEgress } from './egress.ts';

export const bandwidth = definePlugin({
  name: 'bandwidth',
  versions: SPEC_VERSIONS.filter((version) => isAtLeast(version, '0.3.0')),
  config: BandwidthConfig,
  teardown: NoKeys,

  add(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call);
    const { ingress, egress } = config;
    if (ingress === undefined && egress === undefined) return prevResult;
    using host = openRtnl();
    using netns = openContainer(attachment);
    using container = openRtnl(netns);
    using undo = new DisposableStack();
    const veth = findHostVeth({ host, container }, attachment.ifName, prevResult);
    if (ingress !== undefined) {
      refuseChosenQdisc(host, veth);
      undo.defer(() => deleteRootQdisc(host, veth));
      const bucket = bucketFor(ingress);
      step('failed to limit what goes to the container', () =>
        replaceTokenBucket(host, veth, bucket),
      );
    }
    if (egress === undefined) {
      undo.move();
      return prevResult;
    }
    const ifb = step('failed to limit what comes from the container', () =>
      limitEgress(host, attachment, veth, bucketFor(egress), undo),
    );
    undo.move();
    const { name, mac } = ifb;
    return { ...prevResult, interfaces: [...prevResult.interfaces, { name, mac }] };
  },

  *check(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call);
    const { ingress, egress } = config;
    if (ingress === undefined && egress === undefined) return;
    using host = openRtnl();
    using netns = openContainer(attachment);
    using container = openRtnl(netns);
    const veth = findHostVeth({ host, container }, attachment.ifName, prevResult);
    if (ingress !== undefined) yield* checkBucket(host, veth, bucketFor(ingress));
    if (egress === undefined) return;
    yield* checkEgress(host, veth, ifbName(attachment), bucketFor(egress));
  },

  del({ attachment }) {
    using host = openRtnl();
    // The queue of the host's end goes with the interface, whose plugin's DEL follows.
    unlimitEgress(host, attachment);
  },

  gc(call) {
    using host = openRtnl();
    gcEgress(host, call);
  },

  // Nothing can be asked beforehand: the kernel loads what it lacks.
  status: () => [],
});

/** A discipline that somebody chose for the interface stays. @throws CniError */
function refuseChosenQdisc(host: Netlink, veth: Link): void {
  const present = getRootQdisc(host, veth);
  if (present === undefined || present.isDefault || present.kind === 'tbf') return;
  throw new CniError(
    CODE.INTERNAL,
    `Interface "${veth.name}" has a queueing discipline already: ${present.kind}`,
    `to let this plugin limit it: tc qdisc del dev ${veth.name} root`,
  );
}

const bucketFor = (limit: Limit): TokenBucket => tokenBucket(limit, readTicksPerUs());

function* checkEgress(host: Netlink, veth: Link, name: string, wanted: TokenBucket): Findings {
  const ifb = getLink(host, name);
  if (ifb === undefined) {
    yield broken(`Interface "${name}" is gone`);
    return;
  }
  if (!isUp(ifb)) {
    yield broken(`Interface "${name}" is down: nothing that "${veth.name}" receives gets through`);
  }
  yield* checkBucket(host, ifb, wanted);
  if (!listFilters(host, veth).some(({ redirects }) => redirects.includes(ifb.index))) {
    yield broken(`What comes in by "${veth.name}" is not redirected to "${name}"`);
  }
}

/** The difference is named in the reference plugin's words. */
function* checkBucket(host: Netlink, link: Link, wanted: TokenBucket): Findings {
  const present = getRootQdisc(host, link)?.bucket;
  const where = `of interface "${link.name}"`;
  if (present === undefined) {
    yield broken(`No token bucket limits the rate ${where}`);
    return;
  }
  if (sameBucket(present, wanted)) return;
  const [what, is, should] =
    present.bytesPerSecond !== wanted.bytesPerSecond
      ? ['Rate', present.bytesPerSecond, wanted.bytesPerSecond]
      : present.limitBytes !== wanted.limitBytes
        ? ['Limit', present.limitBytes, wanted.limitBytes]
        : ['Buffer', present.bufferTicks, wanted.bufferTicks];
  yield broken(`${what} doesn't match ${where}: it is ${is}, not ${should}`);
}
