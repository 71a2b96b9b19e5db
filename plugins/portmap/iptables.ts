/** Port mappings by iptables, in the reference plugin's chains, so that its DEL removes ours and ours removes its. */
import type { Address, Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE } from '#lib/cni/error.ts';
import type { GcScope } from '#lib/cni/plugin.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { hasLegacyChain } from '#lib/net/xtables.ts';
import {
  areOfGone,
  type ContainerRules,
  deleteChain,
  hasChain,
  listContainers,
  nftTable,
  readTable,
  updateTable,
} from '#lib/netfilter/iptables.ts';
import type { Container } from '#lib/netfilter/owner.ts';
import type { PortmapConfig } from './config.ts';
import { describeHostPort, FAMILIES, type Forward } from './forward.ts';
import {
  chainOf,
  chainsOf,
  containerLines,
  DNAT,
  hasLine,
  parseComment,
  removalLines,
  sharedLines,
  targetOf,
} from './iptables-rules.ts';

/** Where all containers' chains begin. */
const HOOKS = ['PREROUTING', 'OUTPUT'] as const;

/** Adds mappings by one iptables-restore a family. @throws CniError with what iptables said, or that names who holds a port */
export function addMappings(
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): void {
  for (const family of FAMILIES) {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0) continue;
    updateTable(family, 'nat', (present) => [
      ...deadHolders(present, owner, own).flatMap((chain) => removalLines(present, chain)),
      ...sharedLines(present, config.masquerade),
      ...containerLines(present, owner, own, config),
    ]);
  }
}

/** Whether any container's chain is entered: the shared chains stay when the last one has left. Starts no program. */
const hasContainers = (nftables: Nftables | undefined, family: Family): boolean =>
  (nftables?.listRules(nftTable(family, 'nat'), DNAT).length ?? 0) > 0 ||
  hasLegacyChain(family, 'nat', DNAT);

/**
 * Makes room for mappings by another backend: a chain that leads to an address which is ours now would go on doing so.
 * @throws CniError that names another container that holds one of the ports
 */
export function clearPorts(
  nftables: Nftables | undefined,
  owner: Attachment,
  wanted: readonly Forward[],
): void {
  for (const family of FAMILIES) {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0 || !hasContainers(nftables, family)) continue;
    for (const chain of deadHolders(readTable(family, 'nat'), owner, own)) {
      deleteChain(nftables, family, { table: 'nat', chain, entry: DNAT });
    }
  }
}

/** Deletes chains of the network's other containers that lead to addresses which have a new owner. @throws CniError, NetlinkError */
export function releaseReused(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Address[],
): void {
  for (const address of addresses) {
    const { family } = address;
    if (!hasContainers(nftables, family)) continue;
    const present = readTable(family, 'nat');
    const target = family === 4 ? `${address}:` : `[${address}]:`;
    const leading = present.flatMap((line) => {
      const [, chain, to = ''] = /^-A (CNI-DN-\S+) .*--to-destination (\S+)$/.exec(line) ?? [];
      return chain !== undefined && to.startsWith(target) ? [chain] : [];
    });
    for (const chain of new Set(leading)) {
      const holder = holderOf(present, chain);
      const isFormer =
        holder?.network === owner.network && holder.containerID !== owner.containerID;
      if (isFormer) deleteChain(nftables, family, { table: 'nat', chain, entry: DNAT });
    }
  }
}

/**
 * Chains of other containers that hold a port that is wanted and are provably dead: their address is ours now.
 * @throws CniError that names one of which that can't be told
 */
function deadHolders(
  present: readonly string[],
  owner: Attachment,
  wanted: readonly Forward[],
): string[] {
  return wanted.flatMap((forward) => {
    const { protocol, hostPort, hostAddress, pod } = forward;
    const own = hostAddress === undefined ? undefined : ` -d ${Prefix.host(hostAddress)} `;
    const rule = present.find(
      (line) =>
        line.startsWith('-A CNI-DN-') &&
        !line.startsWith(`-A ${chainOf(owner)} `) &&
        line.includes(` -p ${protocol} `) &&
        line.includes(` --dport ${hostPort} -j DNAT `) &&
        (own === undefined ? !line.includes(' -d ') : line.includes(own)),
    );
    const [, chain = '', target = ''] =
      /^-A (\S+) .*--to-destination (\S+)$/.exec(rule ?? '') ?? [];
    if (chain === '' || !hasLine(present, `-A ${DNAT} `, ` -j ${chain}`)) return [];
    const holder = holderOf(present, chain);
    // In another network it may be mapped to the same container.
    if (holder?.containerID === owner.containerID) return [];
    if (target.replace(/:\d+$/, '').replaceAll(/[[\]]/g, '') === String(pod.address))
      return [chain];
    throw held(forward, chain, holder);
  });
}

function holderOf(present: readonly string[], chain: string): Container | undefined {
  const jump = present.find(
    (line) => line.startsWith(`-A ${DNAT} `) && line.endsWith(` -j ${chain}`),
  );
  return parseComment(jump ?? '');
}

function held(forward: Forward, chain: string, holder: Container | undefined): CniError {
  const who = holder === undefined ? '' : ` id: ${holder.containerID}, net: ${holder.network}`;
  return new CniError(
    CODE.INTERNAL,
    `Host port ${describeHostPort(forward)} is already held by container${who}`,
    `chain ${chain} of iptables' table nat; it goes with that container's DEL`,
  );
}

/** Deletes the mappings of a container; none is accepted. @returns whether there were any. @throws CniError, NetlinkError */
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
 * Deletes the mappings of a network's containers that are not valid; if nobody says which are, those that we made for containers that
 * are provably gone. @throws AggregateError
 */
export function gcMappings(nftables: Nftables | undefined, { network, valid }: GcScope): void {
  const keep = valid && new Set(valid.map(({ containerID }) => containerID));
  const collect = (container: ContainerRules): void => {
    const owner = parseComment(container.jump);
    if (owner?.network !== network) return;
    const isStale = keep === undefined ? areOfGone(container) : !keep.has(owner.containerID);
    if (isStale) deleteMappings(nftables, owner);
  };
  cleanUp(
    ...FAMILIES.map((family) => () => {
      const present = listContainers(nftables, family, { table: 'nat', entry: DNAT }, 'CNI-');
      cleanUp(...present.map((container) => () => collect(container)));
    }),
  );
}

/** The mappings, of those given, that the container's chain does not make. @throws CniError */
export function missingMappings(
  nftables: Nftables | undefined,
  owner: Attachment,
  wanted: readonly Forward[],
): Forward[] {
  const chain = chainOf(owner);
  return FAMILIES.flatMap((family) => {
    const own = wanted.filter((forward) => forward.family === family);
    if (own.length === 0 || !hasChain(nftables, family, { table: 'nat', chain })) return own;
    const present = readTable(family, 'nat');
    const isEntered =
      hasLine(present, `-A ${DNAT} `, ` -j ${chain}`) &&
      HOOKS.every((hook) => hasLine(present, `-A ${hook} `, ` -j ${DNAT}`));
    return own.filter(
      (forward) =>
        !isEntered ||
        !present.some(
          (line) =>
            line.startsWith(`-A ${chain} `) &&
            line.includes(` -p ${forward.protocol} `) &&
            line.endsWith(
              ` --dport ${forward.hostPort} -j DNAT --to-destination ${targetOf(forward)}`,
            ),
        ),
    );
  });
}
