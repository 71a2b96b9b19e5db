/**
 * Port mappings by iptables, in the reference plugin's chains, so that its DEL removes ours and
 * ours removes its.
 */
import { type Address, FAMILIES, type Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { hasLegacyChain } from '#lib/net/xtables.ts';
import {
  type ContainerRules,
  deleteChain,
  hasChain,
  listContainers,
  nftTable,
  readTable,
  updateTable,
} from '#lib/netfilter/iptables.ts';
import {
  chainRemoval,
  jumpsTo,
  optionOf,
  type Rule,
  type Table,
} from '#lib/netfilter/iptables-table.ts';
import type { Container } from '#lib/ownership/owner.ts';
import { areOfGone } from '#lib/ownership/rule-evidence.ts';
import { staleness } from '#lib/ownership/staleness.ts';
import type { MasqueradeKeys, PortmapConfig } from './config.ts';
import { describeHostPort, type Forward } from './forward.ts';
import {
  chainOf,
  chainsOf,
  containerLines,
  DNAT,
  ownerOf,
  sharedLines,
  targetAddress,
  targetOf,
  unusedSharedLines,
} from './iptables-rules.ts';

/** The kernel's chains that lead to the shared chain. */
const HOOKS = ['PREROUTING', 'OUTPUT'] as const;

/**
 * Lets `undo` delete the chains that all containers share, if they are not there yet and are unused
 * then. To be called before the undo of the container's own chain is deferred.
 * @throws NetlinkError, SysError
 */
export function deferSharedChains(
  nftables: Nftables | undefined,
  wanted: readonly Forward[],
  undo: DisposableStack,
): void {
  for (const family of new Set(wanted.map((forward) => forward.family))) {
    if (hasChain(nftables, family, { table: 'nat', chain: DNAT })) continue;
    undo.defer(() => updateTable(family, 'nat', unusedSharedLines));
  }
}

/**
 * Adds mappings by one iptables-restore a family. @throws CniError that names the owner of a port,
 * or the chain that is missing; NetfilterError with iptables' words
 */
export function addMappings(
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  requireExternalChain(wanted, config.masquerade);
  for (const family of FAMILIES) {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0) continue;
    updateTable(family, 'nat', (table) => [
      ...goneOwners(table, owner, own).flatMap((chain) => chainRemoval(table, chain)),
      ...sharedLines(table, config.masquerade),
      ...containerLines(table, owner, own, config),
    ]);
  }
}

/**
 * Refuses an ADD without the external chain: iptables would refuse the rules too, but only name a
 * line. @throws CniError
 */
function requireExternalChain(
  wanted: readonly Forward[],
  { snat, externalChain }: MasqueradeKeys,
): void {
  if (!snat || externalChain === undefined) return;
  for (const family of new Set(wanted.map((forward) => forward.family))) {
    if (readTable(family, 'nat').chains.has(externalChain)) continue;
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `Chain "${externalChain}" of "externalSetMarkChain" is not in table nat of IPv${family}`,
      'kube-proxy makes such chains, in its mode iptables, for the families that it serves: see that it runs; or leave the key out, and portmap marks by itself',
    );
  }
}

/**
 * Whether the shared chain leads to any container's chain. It stays after the last container.
 * Starts no program.
 */
const hasContainers = (nftables: Nftables | undefined, family: Family): boolean =>
  (nftables?.listRules(nftTable(family, 'nat'), DNAT).length ?? 0) > 0 ||
  hasLegacyChain(family, 'nat', DNAT);

/**
 * Makes room for mappings by another backend: deletes chains that lead to the pod's address from
 * its former owner. @throws CniError that names another container that owns one of the ports
 */
export function clearPorts(
  nftables: Nftables | undefined,
  owner: Attachment,
  wanted: readonly Forward[],
): void {
  for (const family of FAMILIES) {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0 || !hasContainers(nftables, family)) continue;
    for (const chain of goneOwners(readTable(family, 'nat'), owner, own)) {
      deleteChain(nftables, family, { table: 'nat', chain, entry: DNAT });
    }
  }
}

/**
 * Deletes chains of the network's other containers that lead to addresses of a new owner.
 * @throws NetfilterError, NetlinkError
 */
export function releaseReused(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Address[],
): void {
  for (const address of addresses) {
    const { family } = address;
    if (!hasContainers(nftables, family)) continue;
    const table = readTable(family, 'nat');
    const leading = table.rules
      .filter((rule) => isContainerChain(rule.chain) && targetAddress(rule)?.equals(address))
      .map(({ chain }) => chain);
    for (const chain of new Set(leading)) {
      const former = ownerOf(jumpsTo(table, { chain: DNAT, target: chain })[0]);
      const isFormer =
        former?.network === owner.network && former.containerID !== owner.containerID;
      if (isFormer) deleteChain(nftables, family, { table: 'nat', chain, entry: DNAT });
    }
  }
}

/** Whether a chain of this name is a container's. */
const isContainerChain = (chain: string): boolean => chain.startsWith('CNI-DN-');

/**
 * The chains of other containers that own a wanted port and are provably gone: their address is
 * ours now.
 * @throws CniError that names a container which may live
 */
function goneOwners(table: Table, owner: Attachment, wanted: readonly Forward[]): string[] {
  const others = table.rules.filter(
    ({ chain, target }) => target === 'DNAT' && isContainerChain(chain) && chain !== chainOf(owner),
  );
  return wanted.flatMap((forward) => {
    const rule = others.find((candidate) => isForHostPort(candidate, forward));
    const [jump] = rule === undefined ? [] : jumpsTo(table, { chain: DNAT, target: rule.chain });
    if (rule === undefined || jump === undefined) return [];
    const other = ownerOf(jump);
    // The port may be mapped to the same container in another network.
    if (other?.containerID === owner.containerID) return [];
    if (targetAddress(rule)?.equals(forward.pod.address) === true) return [rule.chain];
    throw portTaken(forward, rule.chain, other);
  });
}

/** Whether a rule is for this very port, protocol and host address. */
function isForHostPort(rule: Rule, { protocol, hostPort, hostAddress }: Forward): boolean {
  const destination = hostAddress && String(Prefix.host(hostAddress));
  return (
    optionOf(rule, '-p') === protocol &&
    optionOf(rule, '--dport') === String(hostPort) &&
    optionOf(rule, '-d') === destination
  );
}

function portTaken(forward: Forward, chain: string, owner: Container | undefined): CniError {
  const who = owner === undefined ? '' : ` id: ${owner.containerID}, net: ${owner.network}`;
  return new CniError(
    CODE.INTERNAL,
    `Host port ${describeHostPort(forward)} is already held by container${who}`,
    `chain ${chain} of iptables' table nat; it goes with that container's DEL`,
  );
}

/**
 * Deletes the mappings of a container; absence is accepted. @returns whether there were any.
 * @throws NetfilterError, NetlinkError
 */
export function deleteMappings(nftables: Nftables | undefined, owner: Container): boolean {
  let found = false;
  for (const family of FAMILIES) {
    for (const chain of chainsOf(owner)) {
      found ||= hasChain(nftables, family, chain);
      deleteChain(nftables, family, chain);
    }
  }
  return found;
}

/**
 * Deletes the mappings of the network's containers that a GC is to collect. @throws AggregateError
 */
export function gcMappings(nftables: Nftables | undefined, scope: GcScope): void {
  const isStale = staleness(scope, ({ containerID }) => containerID);
  const collect = (container: ContainerRules): void => {
    const owner = ownerOf(container.jump);
    if (owner?.network !== scope.network) return;
    if (isStale(owner.containerID, () => areOfGone(container))) deleteMappings(nftables, owner);
  };
  cleanUp(
    ...FAMILIES.map((family) => () => {
      const present = listContainers(nftables, family, { table: 'nat', entry: DNAT }, 'CNI-');
      cleanUp(...present.map((container) => () => collect(container)));
    }),
  );
}

/**
 * The mappings, of those given, that the container's chain does not make. @throws NetfilterError
 */
export function missingMappings(
  nftables: Nftables | undefined,
  owner: Attachment,
  wanted: readonly Forward[],
): Forward[] {
  const chain = chainOf(owner);
  return FAMILIES.flatMap((family) => {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0 || !hasChain(nftables, family, { table: 'nat', chain })) return own;
    const table = readTable(family, 'nat');
    const isEntered =
      jumpsTo(table, { chain: DNAT, target: chain }).length > 0 &&
      HOOKS.every((hook) => jumpsTo(table, { chain: hook, target: DNAT }).length > 0);
    const rules = isEntered ? jumpsTo(table, { chain, target: 'DNAT' }) : [];
    return own.filter((forward) => !rules.some((rule) => isMappingOf(rule, forward)));
  });
}

/** Whether a rule translates this port to this target. */
const isMappingOf = (rule: Rule, forward: Forward): boolean =>
  optionOf(rule, '-p') === forward.protocol &&
  optionOf(rule, '--dport') === String(forward.hostPort) &&
  optionOf(rule, '--to-destination') === targetOf(forward);
