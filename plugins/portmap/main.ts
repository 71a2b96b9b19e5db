/**
 * portmap: lets ports of the host lead to ports of a container. Chained. CNI SPEC §2; example:
 * conf/11-flannel-portmap.conflist.
 */
import type { Address } from '#lib/addr/address.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { everyStep, step } from '#lib/cni/error.ts';
import { broken } from '#lib/cni/finding.ts';
import { type AttachmentCall, definePlugin } from '#lib/cni/plugin.ts';
import { ownAddresses, requirePrevResult } from '#lib/cni/prev-result.ts';
import type { Result } from '#lib/cni/result.ts';
import { checkBackend } from '#lib/cni/status.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { getLink } from '#lib/net/link.ts';
import { findPath } from '#lib/net/route.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { chooseBackend, openNftablesIfAny, requireNftables } from '#lib/netfilter/backend.ts';
import { log } from '#lib/sys/process.ts';
import { trySysctl } from '#lib/sys/sysctl.ts';
import { checkNft } from './conditions.ts';
import { PortmapConfig, PortmapTeardown } from './config.ts';
import { forgetFlowsTo, forgetFormerFlows } from './flows.ts';
import { describeHostPort, type Forward, forwards } from './forward.ts';
import * as iptables from './iptables.ts';
import * as maps from './nftables.ts';
import { deleteReferenceRules } from './reference.ts';

type TeardownCall = AttachmentCall<PortmapTeardown>;

export const portmap = definePlugin({
  name: 'portmap',
  versions: SPEC_VERSIONS,
  config: PortmapConfig,
  teardown: PortmapTeardown,

  add(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call);
    const wanted = forwards(config.portMappings, prevResult, attachment);
    using nftables = openNftablesIfAny();
    releaseReused(nftables, attachment, prevResult);
    if (wanted.length === 0) return prevResult;
    using undo = new DisposableStack();
    if (chooseBackend(config.backend, nftables) === 'iptables') {
      iptables.deferSharedChains(nftables, wanted, undo);
    }
    undo.defer(() => unmap({ ...call, config: { runtimeConfig: {} } }));
    step('failed to set up port mappings', () => map(nftables, attachment, wanted, config));
    if (config.masquerade.snat) openLocalhost(wanted);
    forgetFormerFlows(wanted);
    undo.move();
    return prevResult;
  },

  *check(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call);
    const wanted = forwards(config.portMappings, prevResult, attachment);
    using nftables = openNftablesIfAny();
    const others =
      nftables === undefined ? wanted : maps.missingMappings(nftables, attachment, wanted, config);
    // On a node where the suites were swapped, the reference plugin's iptables rules do the work.
    const missing = iptables.missingMappings(nftables, attachment, others);
    if (missing.length > 0) {
      const ports = missing.map(describeHostPort).join(', ');
      yield broken(`Mapping of host port ${ports} is missing or was changed`);
    }
  },

  del: unmap,

  gc(call) {
    using nftables = openNftablesIfAny();
    everyStep((run) => {
      const pods = nftables === undefined ? [] : maps.gcMappings(nftables, call, run);
      run(() => iptables.gcMappings(nftables, call));
      run(() => forgetFlowsTo(pods));
    });
  },

  *status({ config: { backend, conditions } }) {
    yield* checkBackend(backend, 'map ports');
    if (backend === 'nftables' && conditions[4].length + conditions[6].length > 0) {
      yield* checkNft();
    }
  },
});

function map(
  nftables: Nftables | undefined,
  attachment: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  if (chooseBackend(config.backend, nftables) === 'iptables') {
    if (nftables !== undefined) maps.clearPorts(nftables, attachment, wanted, config);
    iptables.addMappings(attachment, wanted, config);
  } else {
    iptables.clearPorts(nftables, attachment, wanted);
    maps.addMappings(requireNftables(nftables, 'backend'), attachment, wanted, config);
  }
}

/**
 * Deletes mappings of former owners of the pod's addresses, whose DEL never came: their host ports
 * would lead to the new pod.
 */
function releaseReused(
  nftables: Nftables | undefined,
  attachment: Attachment,
  prevResult: Result,
): void {
  const addresses = ownAddresses(prevResult, attachment).map(({ address }) => address.address);
  if (nftables !== undefined) maps.releaseReused(nftables, attachment, addresses);
  iptables.releaseReused(nftables, attachment, addresses);
}

/**
 * Ends the mappings of an attachment, whichever backend of ours or of the reference plugin made
 * them.
 */
function unmap(call: TeardownCall): void {
  const { attachment, config } = call;
  const areExpected = config.runtimeConfig !== undefined;
  const told = knownPods(call);
  using nftables = openNftablesIfAny();
  everyStep((run) => {
    const own = run(() => nftables && maps.deleteMappings(nftables, attachment, areExpected)) ?? [];
    const hadChains = run(() => iptables.deleteMappings(nftables, attachment)) === true;
    const hadRules =
      run(() => nftables && deleteReferenceRules(nftables, attachment.containerID, told)) === true;
    run(() => forgetFlowsTo([...own, ...(hadChains || hadRules ? told : [])]));
  });
}

const knownPods = ({ prevResult, attachment }: TeardownCall): Address[] =>
  prevResult === undefined
    ? []
    : ownAddresses(prevResult, attachment).map(({ address }) => address.address);

/**
 * Lets packets from 127.0.0.1 leave towards the pod: otherwise the host can't use its own ports by
 * localhost.
 */
function openLocalhost(wanted: readonly Forward[]): void {
  const pod = wanted.find(({ family }) => family === 4)?.pod;
  if (pod === undefined) return;
  using rtnl = openRtnl();
  const oif = findPath(rtnl, pod.address)?.oif;
  const link = oif === undefined ? undefined : getLink(rtnl, oif);
  if (link === undefined) return;
  if (trySysctl(`net/ipv4/conf/${link.name}/route_localnet`, '1')) return;
  // /proc/sys is read-only in nested containers. All but the host itself reach the port without it.
  log(`portmap: cannot set route_localnet of "${link.name}": 127.0.0.1 will not reach host ports`);
}
