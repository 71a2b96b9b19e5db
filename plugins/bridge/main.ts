/** bridge: joins a container to a host bridge through a veth pair. CNI SPEC §2; example: conf/20-bridge.conflist. */
import type { Address } from '#lib/addr/address.ts';
import type { Mac } from '#lib/addr/mac.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { openContainer, openContainerIfAny } from '#lib/cni/attachment.ts';
import { isEmptyDns } from '#lib/cni/config.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { type AttachmentCall, definePlugin } from '#lib/cni/plugin.ts';
import { ownAddresses } from '#lib/cni/prev-result.ts';
import { EMPTY_RESULT, type Result, type ResultInterface } from '#lib/cni/result.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import {
  announceAddresses,
  configureAddresses,
  type Container,
  requireAddresses,
} from '#lib/ipam/apply.ts';
import { ipamAdd, ipamCheck, ipamDel, ipamGc, ipamStatus } from '#lib/ipam/ipam.ts';
import {
  gcMasquerade,
  masquerade,
  masqueradeStatus,
  unmasquerade,
} from '#lib/masquerade/masquerade.ts';
import { listAddresses } from '#lib/net/address.ts';
import { deleteLink, getLink, type Link, setLinkUp } from '#lib/net/link.ts';
import { deleteNeighbour, replaceNeighbour } from '#lib/net/neighbour.ts';
import { isNetlinkError, type Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { ensureBridge } from './bridge-link.ts';
import { checkAttachment } from './check.ts';
import { BridgeConfig, requestedMac } from './config.ts';
import { ensureGatewayLink, ensureGateways, gatewayLinkName, planGateways } from './gateway.ts';
import { awaitForwarding, connectPort, refuseExisting } from './port.ts';
import { addSpoofCheck, deleteSpoofCheck } from './spoof-check.ts';

type BridgeCall = AttachmentCall<BridgeConfig>;

export const bridge = definePlugin({
  name: 'bridge',
  versions: SPEC_VERSIONS,
  config: BridgeConfig,

  add(call) {
    const { attachment, config } = call;
    const mac = requestedMac(config, call.env);
    using host = openRtnl();
    using netns = openContainer(attachment);
    using rtnl = openRtnl(netns);
    using undo = new DisposableStack();

    refuseExisting(rtnl, attachment.ifName);
    // Addresses first: when there is none, nothing else was touched.
    const answer = ipamAnswer(call, undo);
    const plan = planGateways(answer, config);
    const bridgeLink = ensureBridge(host, config, plan.gateways[0]?.address, undo);
    const gateway = ensureGatewayLink(host, bridgeLink, config, undo);
    ensureGateways(host, gateway, bridgeLink, plan, config);

    const end = { netns, rtnl, ifName: attachment.ifName, mac };
    const { port, link } = connectPort(host, end, bridgeLink, config, undo);
    const container = { netns, rtnl, link };
    if (config.macSpoofCheck && link.mac !== undefined)
      addSpoofCheck(attachment, port.name, link.mac, undo);
    if (plan.ips.length > 0) configureAddresses(container, { ...plan, dad: config.dad });
    else if (!config.interfaceStaysDown) setLinkUp(rtnl, link);
    const addresses = plan.ips.map(({ address }) => address);
    if (config.masquerade !== undefined) masquerade(attachment, addresses, config.masquerade, undo);

    if (!config.interfaceStaysDown) awaitForwarding(host, bridgeLink, port);
    introduce(host, gateway, container, addresses);
    undo.move(); // All done: keep what was made.
    return {
      interfaces: [
        // A bridge that somebody else made may have taken a hardware address from its new port.
        describe(getLink(host, bridgeLink.index) ?? bridgeLink),
        describe(port),
        { ...describe(link), sandbox: attachment.netns },
        ...(gateway === bridgeLink ? [] : [describe(gateway)]),
      ],
      ips: plan.ips,
      routes: plan.routes,
      dns: config.dns === undefined || isEmptyDns(config.dns) ? answer.dns : config.dns,
    };
  },

  check(call) {
    ipamCheck(call);
    checkAttachment(call);
  },

  del(call) {
    const { attachment, config } = call;
    using netns = openContainerIfAny(attachment);
    using rtnl = netns && openRtnl(netns);
    using host = openRtnl();
    const addresses = knownAddresses(call, rtnl);
    cleanUp(
      () => unmasquerade(attachment, addresses),
      () => config.macSpoofCheck && deleteSpoofCheck(attachment),
      // Before, so that a DEL that dies here is completed by the next: only the interface tells the addresses.
      () => forget(host, config, addresses ?? []),
      () => rtnl && deleteLink(rtnl, attachment.ifName),
      () => rtnl === undefined && deleteStrayPort(host, call),
      // And after: it may have been heard of once more.
      () => forget(host, config, addresses ?? []),
      // The addresses last: nobody gets them while anything of the old owner is left.
      () => ipamDel(call),
    );
  },

  gc(call) {
    const { network, valid } = call;
    cleanUp(
      () => valid && gcMasquerade(network, valid),
      () => ipamGc(call),
    );
  },

  status(call) {
    ipamStatus(call);
    if (call.config.masquerade !== undefined) masqueradeStatus(call.config.masquerade);
  },
});

function ipamAnswer(call: BridgeCall, undo: DisposableStack): Result {
  const answer = ipamAdd(call, undo);
  if (answer !== undefined) requireAddresses(answer);
  return answer ?? EMPTY_RESULT;
}

/** What the link's neighbours, the host among them, know of an address's former owner is replaced at once. */
function introduce(
  host: Netlink,
  gateway: Link,
  container: Container,
  addresses: readonly Prefix[],
): void {
  const { mac } = container.link;
  for (const { address } of addresses) {
    if (mac !== undefined) tryReplaceNeighbour(host, gateway, address, mac);
  }
  if (addresses.length > 0) announceAddresses(container);
}

/** A host without IPv6, or with a full table, is no reason to fail: it learns the address when it needs it. */
function tryReplaceNeighbour(host: Netlink, gateway: Link, address: Address, mac: Mac): void {
  try {
    replaceNeighbour(host, gateway, address, mac);
  } catch (error) {
    if (!isNetlinkError(error)) throw error;
  }
}

function forget(host: Netlink, config: BridgeConfig, addresses: readonly Prefix[]): void {
  const gateway = getLink(host, gatewayLinkName(config));
  if (gateway === undefined) return;
  for (const { address } of addresses) deleteNeighbour(host, gateway, address);
}

/** The container's addresses with their subnets, as ADD's result or the interface has them; undefined: all that there are. */
function knownAddresses(call: BridgeCall, rtnl: Netlink | undefined): Prefix[] | undefined {
  const { prevResult, attachment } = call;
  const told = prevResult === undefined ? [] : ownAddresses(prevResult, attachment);
  const link = rtnl && getLink(rtnl, attachment.ifName);
  const met = rtnl === undefined || link === undefined ? [] : listAddresses(rtnl, link);
  const addresses = [
    ...told.map(({ address }) => address),
    ...met.filter(({ isGlobal }) => isGlobal).map(({ prefix }) => prefix),
  ];
  return addresses.length === 0 ? undefined : addresses;
}

/** Without a namespace to delete the container's end in, the host's end tells: the result knows its name. */
function deleteStrayPort(host: Netlink, { prevResult }: BridgeCall): void {
  for (const { name, mac, sandbox } of prevResult?.interfaces ?? []) {
    const link = sandbox || mac === undefined ? undefined : getLink(host, name);
    if (link?.kind === 'veth' && link.mac === mac && isPortName(name)) deleteLink(host, link.index);
  }
}

/** As the reference plugins and ours name them: a VLAN's gateway is a veth too, and stays. */
const isPortName = (name: string): boolean => /^veth[0-9a-f]{8}$/.test(name);

const describe = ({ name, mac, mtuBytes }: Link): ResultInterface => ({ name, mac, mtu: mtuBytes });
