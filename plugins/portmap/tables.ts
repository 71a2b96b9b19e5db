/**
 * The nf_tables structure of port mappings, for each family:
 *
 *   map hostports, hostip_hostports   (protocol, port), or (address, protocol, port) -> goto the chain of a network's policy
 *   map targets, hostip_targets       the same keys -> (pod address, container port)
 *   map attachments                   owner -> (host address or zero, protocol, port)
 *   map owners                        (network, pod address) -> owner
 *   chain prerouting, output          the hooks: what goes to an address of this host is looked up
 *   chain lookup                      asks both maps, the one with addresses first
 *   chain net-NETWORK-DIGEST          a policy: marks connections that are to be masqueraded, then translates
 *   chain masquerade-BIT              the hook where marked connections are masqueraded
 *   chain localnet                    keeps 127.0.0.0/8 closed to the outside, as it was before route_localnet
 */
import { Address, type Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { Request } from '#lib/net/netlink.ts';
import {
  lookupVerdict,
  masquerade,
  matchMark,
  matchOtherInputInterface,
  matchPrefix,
  setMark,
  verdict,
} from '#lib/net/nft-expression.ts';
import { concatenation, DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import {
  loadAddressAndPort,
  loadPort,
  matchLocalDestination,
  translateDestination,
} from '#lib/net/nft-nat.ts';
import { addIndex, deleteEmptyIndex, INDEX_KEY_TYPE } from '#lib/netfilter/owner-index.ts';
import { policyChain } from '#lib/ownership/owner.ts';
import type { PortmapConfig } from './config.ts';

/** Tables of our own: the reference plugin makes its own anew on every ADD. */
export const TABLES = {
  4: { family: 'ip', name: 'cni_portmap' },
  6: { family: 'ip6', name: 'cni_portmap' },
} as const satisfies Record<Family, Table>;

/** A verdict map, and the map of targets with the same keys. */
export interface PortMaps {
  readonly verdicts: string;
  readonly targets: string;
}

/** The maps for mappings of all addresses of the host, and of one. */
export const MAPS = {
  any: { verdicts: 'hostports', targets: 'targets' },
  one: { verdicts: 'hostip_hostports', targets: 'hostip_targets' },
} as const satisfies Record<string, PortMaps>;

/** The map of the owners of mappings by pod address. */
export const OWNERS = 'owners';

const COMMENT = 'CNI port mappings';
const LOOKUP = 'lookup';
const HOOKED = ['prerouting', 'output'] as const;
const LOCALNET = 'localnet';
const LOOPBACK = Prefix.parse('127.0.0.0/8');
/** ::1 */
const LOCALHOST6 = Address.of(6, 1n);

/** linux/netfilter_ipv4.h: NF_IP_PRI_RAW, NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC */
const PRIORITY = { raw: -300, dstnat: -100, srcnat: 100 } as const;

/** Protocol and port. */
const PORT_TYPE = concatenation(DATA_TYPES.protocol, DATA_TYPES.port);

/** How connections to a network's pods in one subnet are translated. */
export interface Policy {
  readonly family: Family;
  readonly subnet: Prefix;
  readonly masquerade: PortmapConfig['masquerade'];
  readonly conditions: readonly string[];
  /** The chain that translates. */
  readonly chain: string;
  /** The chain that mappings lead to: it asks for the conditions first, if there are any. */
  readonly entry: string;
}

/** The policy of a pod's address in its network. */
export function policyOf(owner: Attachment, pod: Prefix, config: PortmapConfig): Policy {
  const { family } = pod;
  const { masquerade: keys } = config;
  const conditions = config.conditions[family];
  const subnet = pod.masked();
  const text = JSON.stringify([String(subnet), keys.snat, keys.all, keys.markBit]);
  const chain = policyChain(owner, text);
  const entry =
    conditions.length === 0 ? chain : policyChain(owner, [text, ...conditions].join(' '));
  return { family, subnet, masquerade: keys, conditions, chain, entry };
}

/**
 * The requests for table, maps, hooks and the policy's chains, without the conditions' rule; they
 * may be repeated.
 */
export function structure(policy: Policy): Request[] {
  const { family } = policy;
  const table = TABLES[family];
  const addressType = DATA_TYPES[table.family];
  const targetType = concatenation(addressType, DATA_TYPES.port);
  const fullType = concatenation(addressType, DATA_TYPES.protocol, DATA_TYPES.port);
  const podType = concatenation(DATA_TYPES.ifname, addressType);
  return [
    nft.addTable(table, COMMENT),
    nft.addMap(table, MAPS.any.verdicts, { key: PORT_TYPE, value: DATA_TYPES.verdict }),
    nft.addMap(table, MAPS.any.targets, { key: PORT_TYPE, value: targetType }),
    nft.addMap(table, MAPS.one.verdicts, { key: fullType, value: DATA_TYPES.verdict }),
    nft.addMap(table, MAPS.one.targets, { key: fullType, value: targetType }),
    addIndex(table, fullType),
    nft.addMap(table, OWNERS, { key: podType, value: INDEX_KEY_TYPE }),
    nft.addChain(table, LOOKUP),
    nft.deleteRules(table, LOOKUP),
    nft.addRule(table, LOOKUP, [...loadAddressAndPort(family), lookupVerdict(MAPS.one.verdicts)]),
    nft.addRule(table, LOOKUP, [...loadPort(), lookupVerdict(MAPS.any.verdicts)]),
    ...HOOKED.flatMap((hook) => hookChain(table, family, hook)),
    ...policyRules(policy),
  ];
}

function hookChain(table: Table, family: Family, hook: (typeof HOOKED)[number]): Request[] {
  const lookUp = [...matchLocalDestination(), verdict({ code: 'goto', chain: LOOKUP })];
  const skip = [...matchPrefix('daddr', Prefix.host(LOCALHOST6)), verdict({ code: 'return' })];
  return [
    nft.addChain(table, hook, { type: 'nat', hook, priority: PRIORITY.dstnat }),
    nft.deleteRules(table, hook),
    // No answer can come back to ::1: a connection that is refused at once is better than one that
    // hangs.
    ...(family === 6 ? [nft.addRule(table, hook, skip)] : []),
    nft.addRule(table, hook, lookUp),
  ];
}

function policyRules({ family, chain, entry, subnet, masquerade: keys }: Policy): Request[] {
  const table = TABLES[family];
  const marked = keys.all
    ? [[]]
    : markedSources(subnet).map((prefix) => matchPrefix('saddr', prefix));
  return [
    nft.addChain(table, chain),
    // Without conditions both are the same chain.
    nft.addChain(table, entry),
    nft.deleteRules(table, chain),
    ...(keys.snat
      ? marked.map((match) => nft.addRule(table, chain, [...match, ...setMark(keys.markBit)]))
      : []),
    nft.addRule(table, chain, [
      ...loadAddressAndPort(family),
      ...translateDestination(family, MAPS.one.targets),
    ]),
    nft.addRule(table, chain, [...loadPort(), ...translateDestination(family, MAPS.any.targets)]),
    ...(keys.snat ? masqueradeChains(table, family, keys.markBit) : []),
  ];
}

/**
 * The sources to masquerade: pods of the same subnet would be answered directly, without
 * translation; a loopback address can't be answered.
 */
const markedSources = (subnet: Prefix): Prefix[] =>
  subnet.family === 4 ? [subnet, LOOPBACK] : [subnet];

function masqueradeChains(table: Table, family: Family, markBit: number): Request[] {
  const chain = `masquerade-${markBit}`;
  return [
    nft.addChain(table, chain, { type: 'nat', hook: 'postrouting', priority: PRIORITY.srcnat }),
    nft.deleteRules(table, chain),
    nft.addRule(table, chain, [...matchMark(markBit), masquerade()]),
    ...(family === 4 ? localnetChain(table) : []),
  ];
}

const localnetChain = (table: Table): Request[] => [
  nft.addChain(table, LOCALNET, { type: 'filter', hook: 'prerouting', priority: PRIORITY.raw }),
  nft.deleteRules(table, LOCALNET),
  // Every packet of the node comes here: the match that most packets fail comes first.
  nft.addRule(table, LOCALNET, [
    ...matchPrefix('daddr', LOOPBACK),
    ...matchOtherInputInterface('lo'),
    verdict({ code: 'drop' }),
  ]),
];

/**
 * The chains that must have rules, so that mappings of a policy work and nothing else is open;
 * without the conditions' chain.
 */
export const workingChains = ({
  family,
  chain,
  masquerade: { snat, markBit },
}: Policy): string[] => [
  ...HOOKED,
  LOOKUP,
  chain,
  ...(snat ? [`masquerade-${markBit}`] : []),
  ...(snat && family === 4 ? [LOCALNET] : []),
];

/**
 * The requests that delete the table of a family; refused with EBUSY while there are mappings. Map
 * `owners` is no reason to keep it.
 */
export function deleteEmpty(table: Table): Request[] {
  const maps = [MAPS.any, MAPS.one].flatMap(({ verdicts, targets }) => [verdicts, targets]);
  return [
    nft.deleteRules(table),
    ...maps.map((map) => nft.deleteEmptySet(table, map)),
    deleteEmptyIndex(table),
    nft.deleteTable(table),
  ];
}
