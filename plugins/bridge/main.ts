/**
 * bridge: joins a container to a host bridge through a veth pair. CNI SPEC §2; example:
 * conf/20-bridge.conflist.
 */
import type { Prefix } from '#lib/addr/prefix.ts';
import { openContainer, openContainerIfAny } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import { requireShape } from '#lib/cni/result.ts';
import { checkBackend } from '#lib/cni/status.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import {
  announceAddresses,
  configureInterface,
  type Container,
} from '#lib/container-link/configure.ts';
import { requireIpv6, requireIpv6Mtu } from '#lib/container-link/ipv6.ts';
import { deleteStrayVeth, describeLink, refuseExisting } from '#lib/container-link/veth-pair.ts';
import { ipamAdd, ipamCheck, ipamDel, ipamGc, ipamStatus } from '#lib/ipam/ipam.ts';
import { knownAddresses } from '#lib/container-link/known-addresses.ts';
import {
  gcMasquerade,
  masquerade,
  masqueradeStatus,
  unmasquerade,
} from '#lib/masquerade/masquerade.ts';
import { deleteLink, getLink, type Link, setLinkUp } from '#lib/net/link.ts';
import { deleteNeighbour, replaceNeighbour } from '#lib/net/neighbour.ts';
import { type Netlink, netlinkError } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { VETH } from '#lib/net/veth.ts';
import { recover } from '#lib/sys/recover.ts';
import { deleteStaleLinks } from '#lib/ownership/link-mark.ts';
import { ensureBridge } from './bridge-link.ts';
import { warnOfLargeFrames } from './mtu.ts';
import { checkAttachment } from './check.ts';
import { BridgeConfig, BridgeTeardown, type GatewayKeys, requestedMac } from './config.ts';
import { ensureGatewayLink, ensureGateways, gatewayLinkName, planGateways } from './gateway.ts';
import { awaitForwarding, connectPort } from './port.ts';
import { checkConnectivity } from './connectivity.ts';
import { addSpoofCheck, deleteSpoofCheck, gcSpoofChecks } from './spoof-check.ts';

export const bridge = definePlugin({
  name: 'bridge',
  versions: SPEC_VERSIONS,
  config: BridgeConfig,
  teardown: BridgeTeardown,

  add(call) {
    const { attachment, config } = call;
    const mac = requestedMac(config, call.env);
    using host = openRtnl();
    using netns = openContainer(attachment);
    using rtnl = openRtnl(netns);
    using undo = new DisposableStack();

    refuseExisting(rtnl, attachment);
    // Addresses first: if there is none, nothing else was changed.
    const answer = ipamAdd(call, undo);
    const plan = planGateways(answer, config);
    const addresses = plan.ips.map(({ address }) => address);
    // Refuse what can't work before the bridge is made: a bridge outlives an ADD that fails.
    requireShape(plan.ips, call.cniVersion);
    requireIpv6(addresses);
    requireIpv6Mtu(addresses, config.mtuBytes, 'the key "mtu"');
    const bridgeLink = ensureBridge(host, config, plan.gateways[0]?.address, undo);
    const gateway = ensureGatewayLink(host, bridgeLink, config, undo);
    ensureGateways(host, { link: gateway, bridge: bridgeLink }, plan, config);

    const end = { netns, rtnl, owner: attachment, mac };
    const { hostEnd: port, link } = connectPort(host, end, bridgeLink, config, undo);
    warnOfLargeFrames({ bridge: bridgeLink, port });
    const container = { netns, rtnl, link };
    if (config.macSpoofCheck && link.mac !== undefined)
      addSpoofCheck(attachment, port.name, link.mac, undo);
    if (plan.ips.length > 0) configureInterface(container, { ...plan, dad: config.dad });
    else if (!config.interfaceStaysDown) setLinkUp(rtnl, link);
    if (config.masquerade !== undefined) masquerade(attachment, addresses, config.masquerade, undo);

    if (!config.interfaceStaysDown) awaitForwarding(host, { bridge: bridgeLink, port });
    introduce(host, gateway, container, addresses);
    // A bridge that somebody else made may have taken the hardware address of its new port.
    const bridgeNow = getLink(host, bridgeLink.index) ?? bridgeLink;
    undo.move(); // All done: keep what was made.
    return {
      interfaces: [
        describeLink(bridgeNow),
        describeLink(port),
        { ...describeLink(link), sandbox: attachment.netns },
        ...(gateway === bridgeLink ? [] : [describeLink(gateway)]),
      ],
      ips: plan.ips,
      routes: plan.routes,
      dns: config.dns ?? answer.dns,
    };
  },

  *check(call) {
    yield* ipamCheck(call);
    yield* checkAttachment(call);
  },

  del(call) {
    const { attachment, config } = call;
    using closing = new DisposableStack();
    using netns = openContainerIfAny(attachment);
    using rtnl = netns && openRtnl(netns);
    using host = openRtnl();
    const addresses = knownAddresses(call, rtnl);
    const { isMasqueraded: isExpected } = config;
    cleanUp(
      () => unmasquerade({ owner: attachment, addresses, isExpected }, closing),
      () => config.macSpoofCheck && deleteSpoofCheck(attachment),
      // Before the interface, which alone tells the addresses: if this DEL dies, the next one
      // finishes it.
      () => forget(host, config, addresses ?? []),
      () =>
        (rtnl !== undefined && deleteLink(rtnl, attachment.ifName)) ||
        deleteStrayVeth(host, attachment, call.prevResult),
      // Once more after it: the host may have learnt an address again.
      () => forget(host, config, addresses ?? []),
      // The addresses last: no new owner gets them while anything of the old one is left.
      () => ipamDel(call),
    );
  },

  gc(call) {
    using host = openRtnl();
    cleanUp(
      () => gcMasquerade(call),
      () => gcSpoofChecks(call),
      () => deleteStaleLinks(host, VETH, call),
      () => ipamGc(call),
    );
  },

  *status(call) {
    const { config } = call;
    yield* ipamStatus(call);
    if (config.masquerade !== undefined) yield* masqueradeStatus(config.masquerade);
    if (config.macSpoofCheck) yield* checkBackend('nftables', 'check hardware addresses');
    yield* checkConnectivity(call);
  },
});

/**
 * Replaces at once what the host and the link's other neighbours know of an address's former owner.
 */
function introduce(
  host: Netlink,
  gateway: Link,
  container: Container,
  addresses: readonly Prefix[],
): void {
  const { mac } = container.link;
  for (const { address } of addresses) {
    // A host without IPv6 or with a full table refuses it: then it learns the address when it needs
    // it.
    if (mac !== undefined) {
      recover(() => replaceNeighbour(host, gateway, address, mac), netlinkError());
    }
  }
  if (addresses.length > 0) announceAddresses(container);
}

function forget(host: Netlink, config: GatewayKeys, addresses: readonly Prefix[]): void {
  const gateway = getLink(host, gatewayLinkName(config));
  if (gateway === undefined) return;
  for (const { address } of addresses) deleteNeighbour(host, gateway, address);
}
