/**
 * ptp: joins a container to the host by a veth pair and routes, without a bridge. CNI SPEC §2;
 * example: conf/40-static-ptp.conflist.
 */
import { openContainer, openContainerIfAny } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE } from '#lib/cni/error.ts';
import { attempt } from '#lib/cni/finding.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import {
  connectContainer,
  deleteStrayVeth,
  describeLink,
  markHostEnd,
  refuseExisting,
} from '#lib/container-link/veth-pair.ts';
import { enableForwarding } from '#lib/container-link/forwarding.ts';
import { requireIpv6, requireIpv6Mtu } from '#lib/container-link/ipv6.ts';
import { ipamAdd, ipamCheck, ipamDel, ipamGc, ipamStatus } from '#lib/ipam/ipam.ts';
import { knownAddresses } from '#lib/container-link/known-addresses.ts';
import {
  gcMasquerade,
  masquerade,
  masqueradeStatus,
  unmasquerade,
} from '#lib/masquerade/masquerade.ts';
import { deleteLink } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { VETH } from '#lib/net/veth.ts';
import { deleteStaleLinks } from '#lib/ownership/link-mark.ts';
import { checkAttachment } from './check.ts';
import { PtpConfig, PtpTeardown } from './config.ts';
import { checkConnectivity } from './connectivity.ts';
import { awaitOperation, configureContainer, configureHostEnd, requireGateways } from './wire.ts';

/** Index of the container's interface in the result: after the host's end. */
const CONTAINER_INTERFACE = 1;

export const ptp = definePlugin({
  name: 'ptp',
  versions: SPEC_VERSIONS,
  config: PtpConfig,
  teardown: PtpTeardown,

  add(call) {
    const { attachment, config } = call;
    requireIpam(config);
    using host = openRtnl();
    using netns = openContainer(attachment);
    using rtnl = openRtnl(netns);
    using undo = new DisposableStack();

    refuseExisting(rtnl, attachment);
    // Addresses first: when there is none, nothing else was touched.
    const answer = ipamAdd(call, undo);
    const ips = requireGateways(answer.ips).map((ip) => ({
      ...ip,
      interface: CONTAINER_INTERFACE,
    }));
    const addresses = ips.map(({ address }) => address);
    requireIpv6(addresses);
    requireIpv6Mtu(addresses, config.mtuBytes, 'the key "mtu"');
    enableForwarding(addresses.map(({ family }) => family));

    const end = { netns, rtnl, owner: attachment };
    const { hostEnd, link } = connectContainer(host, end, { mtuBytes: config.mtuBytes }, undo);
    configureHostEnd(host, hostEnd, ips);
    markHostEnd(host, hostEnd, attachment);
    configureContainer({ netns, rtnl, link }, ips, answer.routes);
    if (config.masquerade !== undefined) masquerade(attachment, addresses, config.masquerade, undo);
    awaitOperation(host, hostEnd);
    awaitOperation(rtnl, link);
    undo.move(); // All done: keep what was made.
    return {
      interfaces: [describeLink(hostEnd), { ...describeLink(link), sandbox: attachment.netns }],
      ips,
      routes: answer.routes,
      dns: config.dns ?? answer.dns,
    };
  },

  *check(call) {
    yield* ipamCheck(call);
    yield* checkAttachment(call);
  },

  del(call) {
    const { attachment, config, prevResult } = call;
    using closing = new DisposableStack();
    using netns = openContainerIfAny(attachment);
    using rtnl = netns && openRtnl(netns);
    using host = openRtnl();
    const addresses = knownAddresses(call, rtnl);
    const { isMasqueraded: isExpected } = config;
    cleanUp(
      () => unmasquerade({ owner: attachment, addresses, isExpected }, closing),
      // The host's end goes with it, and what the host knew of the container with that.
      () =>
        (rtnl !== undefined && deleteLink(rtnl, attachment.ifName)) ||
        deleteStrayVeth(host, attachment, prevResult),
      // The addresses last: nobody gets them while anything of the old owner is left.
      () => ipamDel(call),
    );
  },

  gc(call) {
    using host = openRtnl();
    cleanUp(
      () => gcMasquerade(call),
      () => deleteStaleLinks(host, VETH, call),
      () => ipamGc(call),
    );
  },

  *status(call) {
    const { masquerade: options } = call.config;
    yield* attempt(() => requireIpam(call.config));
    yield* ipamStatus(call);
    if (options !== undefined) yield* masqueradeStatus(options);
    yield* checkConnectivity(call);
  },
});

/**
 * Without addresses there is nothing to route. Not asked of DEL, which has to take a refused ADD
 * for what it is.
 */
function requireIpam({ ipam }: PtpConfig): void {
  if (ipam === undefined) {
    throw new CniError(CODE.INVALID_CONFIG, 'ptp needs an IPAM plugin: "ipam.type" is missing');
  }
}
