/**
 * The reference plugin's iptables chains and rules, as lines of iptables-save and iptables-restore.
 * Pure.
 */
import { Address } from '#lib/addr/address.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { ContainerChain } from '#lib/netfilter/iptables.ts';
import {
  chainLines,
  comment,
  commentOf,
  hasRule,
  optionOf,
  quote,
  removal,
  type Rule,
  rulesOf,
  type Table,
} from '#lib/netfilter/iptables-table.ts';
import { type Container, hashedName, IPTABLES_COMMENT_LENGTH } from '#lib/ownership/owner.ts';
import { evidenceMatch } from '#lib/ownership/rule-evidence.ts';
import type { MasqueradeKeys, PortmapConfig, Protocol } from './config.ts';
import type { Forward } from './forward.ts';

/** The chain that leads to those of all containers. */
export const DNAT = 'CNI-HOSTPORT-DNAT';

const SETMARK = 'CNI-HOSTPORT-SETMARK';
const MASQ = 'CNI-HOSTPORT-MASQ';

/** Length of a chain's name: iptables allows 28. */
const CHAIN_LENGTH = 28;

/** The kernel's chains that lead to the shared ones. */
const HOOKS = new Set(['PREROUTING', 'OUTPUT', 'POSTROUTING']);

/** How many ports the match multiport takes. */
const MULTIPORT_LIMIT = 15;

/** A container's chain, and the one that releases before 0.9 made beside it. */
export const chainsOf = (owner: Container): ContainerChain[] => [
  { table: 'nat', chain: hashedName('CNI-DN-', owner, CHAIN_LENGTH), entry: DNAT },
  { table: 'nat', chain: hashedName('CNI-SN-', owner, CHAIN_LENGTH), entry: 'CNI-HOSTPORT-SNAT' },
];

/** The name of a container's chain. */
export const chainOf = (owner: Container): string => hashedName('CNI-DN-', owner, CHAIN_LENGTH);

/** The lines that add the shared chains and rules which are missing. */
export function sharedLines(table: Table, keys: MasqueradeKeys): string[] {
  const mark = `0x${((1 << keys.markBit) >>> 0).toString(16)}`;
  const local = `-m addrtype --dst-type LOCAL -j ${DNAT}`;
  const marked = `${mark}/${mark}`;
  const marks = keys.snat && keys.externalChain === undefined;
  return [
    ...chainLines(table, DNAT, ...(marks ? [SETMARK, MASQ] : [])),
    ...ruleLine(table, { chain: 'PREROUTING', spec: local }),
    ...ruleLine(table, { chain: 'OUTPUT', spec: local }),
    ...(marks
      ? [
          ...ruleLine(table, {
            verb: '-I',
            chain: 'POSTROUTING',
            spec: `-j ${MASQ}`,
            text: 'CNI portfwd requiring masquerade',
          }),
          ...ruleLine(table, {
            chain: SETMARK,
            spec: `-j MARK --set-xmark ${marked}`,
            text: 'CNI portfwd masquerade mark',
          }),
          ...ruleLine(table, { chain: MASQ, spec: `-m mark --mark ${marked} -j MASQUERADE` }),
        ]
      : []),
  ];
}

/** The lines that delete the shared chains; none if a container has a rule in them. */
export function unusedSharedLines(table: Table): string[] {
  if (rulesOf(table, DNAT).length > 0) return [];
  const chains = [DNAT, SETMARK, MASQ].filter((chain) => table.chains.has(chain));
  const jumps = table.rules.filter(({ target }) => chains.includes(target));
  // A container's chain may lead to them although nothing leads to it.
  if (!jumps.every(({ chain }) => HOOKS.has(chain))) return [];
  const own = table.rules.filter(({ chain }) => chain === SETMARK || chain === MASQ);
  return [...removal([...jumps, ...own]), ...chains.map((chain) => `-X ${chain}`)];
}

/** A rule that is to be there, `text` being its comment. */
interface WantedRule {
  /** At the chain's end, or at its beginning. */
  readonly verb?: '-A' | '-I';
  readonly chain: string;
  readonly spec: string;
  readonly text?: string;
}

/** The line that adds a rule; none if it is there, whatever its comment. */
function ruleLine(table: Table, { verb = '-A', chain, spec, text }: WantedRule): string[] {
  if (hasRule(table, { chain, spec })) return [];
  return [[verb, chain, ...(text === undefined ? [] : [comment(text)]), spec].join(' ')];
}

/**
 * The lines that make the container's chain, its rules, and the rules that lead to it: one for each
 * protocol and fifteen ports. Rules that an earlier ADD left for the same address are deleted.
 * Rules for another address belong to another interface, which shares the chain, and stay.
 */
export function containerLines(
  table: Table,
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): string[] {
  const chain = chainOf(owner);
  const text = comment(ownerText(owner));
  const protocols = [...new Set(wanted.map(({ protocol }) => protocol))].toSorted();
  const conditions = config.conditions[wanted[0]?.family ?? 4].map(quoteIfNeeded).join(' ');
  const entries = protocols.flatMap((protocol) =>
    portLists(wanted, protocol).map((ports) =>
      [
        `-A ${DNAT} ${text} -m multiport -p ${protocol} --destination-ports ${ports}`,
        ...(conditions === '' ? [] : [conditions]),
        `-j ${chain}`,
      ].join(' '),
    ),
  );
  const evidence = evidenceMatch(owner);
  return [
    ...emptyChain(table, chain, wanted),
    ...wanted.flatMap((forward) => forwardLines(chain, forward, config)),
    // A rule that does nothing: its comment is the evidence. The reference plugin deletes it with
    // the chain.
    ...(evidence === undefined ? [] : [`-A ${chain} ${evidence}`]),
    ...entries,
  ];
}

/** The lines that make the chain or empty it; rules that lead to other addresses stay. */
function emptyChain(table: Table, chain: string, wanted: readonly Forward[]): string[] {
  if (!table.chains.has(chain)) return [`-N ${chain}`];
  const pods = wanted.map(({ pod }) => pod.address);
  const isShared = rulesOf(table, chain).some((rule) => {
    const target = targetAddress(rule);
    return target !== undefined && !pods.some((pod) => pod.equals(target));
  });
  const jumps = table.rules.filter(({ target }) => target === chain);
  return isShared ? [] : [...removal(jumps), `-F ${chain}`];
}

/** The address that a rule translates destinations to; undefined if it translates none. */
export function targetAddress(rule: Rule): Address | undefined {
  const [, text] =
    /^\[?([0-9a-fA-F:.]+?)\]?:\d+$/.exec(optionOf(rule, '--to-destination') ?? '') ?? [];
  return text === undefined ? undefined : Address.parse(text);
}

const quoteIfNeeded = (token: string): string =>
  /^[^\s"'\\]+$/.test(token) ? token : quote(token);

/** The comment of the rules that lead to a container's chain. */
function ownerText({ network, containerID }: Container): string {
  const text = `dnat name: "${network}" id: "${containerID}"`;
  // The reference plugin cuts it like this.
  return text.length <= IPTABLES_COMMENT_LENGTH
    ? text
    : `${text.slice(0, IPTABLES_COMMENT_LENGTH - 2)}...`;
}

/** The ports of a protocol as lists such as "8080,8081", fifteen ports each. */
function portLists(wanted: readonly Forward[], protocol: Protocol): string[] {
  const own = wanted.filter((forward) => forward.protocol === protocol);
  const ports = [...new Set(own.map(({ hostPort }) => hostPort))];
  return Array.from({ length: Math.ceil(ports.length / MULTIPORT_LIMIT) }, (_, index) =>
    ports.slice(index * MULTIPORT_LIMIT, (index + 1) * MULTIPORT_LIMIT).join(','),
  );
}

function forwardLines(chain: string, forward: Forward, { masquerade }: PortmapConfig): string[] {
  const { family, protocol, hostPort, hostAddress, pod } = forward;
  const destination = hostAddress === undefined ? '' : ` -d ${hostAddress}`;
  const match = `-A ${chain} -p ${protocol} --dport ${hostPort}${destination}`;
  const everyone = family === 4 ? '0.0.0.0/0' : '::/0';
  const sources = masquerade.all ? [everyone] : family === 4 ? [pod, '127.0.0.1'] : [pod];
  const target = masquerade.externalChain ?? SETMARK;
  const marks = sources.map((source) => `${match} -s ${source} -j ${target}`);
  return [
    ...(masquerade.snat ? marks : []),
    `${match} -j DNAT --to-destination ${targetOf(forward)}`,
  ];
}

/** A mapping's target, as iptables writes it. */
export const targetOf = ({ family, pod, containerPort }: Forward): string =>
  family === 4 ? `${pod.address}:${containerPort}` : `[${pod.address}]:${containerPort}`;

/** The container that a rule's comment names; undefined if it names none. */
export function ownerOf(jump: Rule | undefined): Container | undefined {
  const text = jump === undefined ? undefined : commentOf(jump);
  const [, network, containerID] = /^dnat name: "(.+?)" id: "(.+?)"/.exec(text ?? '') ?? [];
  return network === undefined || containerID === undefined ? undefined : { network, containerID };
}
