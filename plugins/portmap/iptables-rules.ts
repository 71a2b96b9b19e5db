/** The reference plugin's iptables chains and rules, as lines of iptables-save and iptables-restore. Pure. */
import type { Attachment } from '#lib/cni/attachment.ts';
import { evidenceOf } from '#lib/cni/evidence.ts';
import { type ContainerChain, quote } from '#lib/netfilter/iptables.ts';
import { type Container, hashedName, IPTABLES_COMMENT_LENGTH } from '#lib/netfilter/owner.ts';
import type { MasqueradeKeys, PortmapConfig, Protocol } from './config.ts';
import type { Forward } from './forward.ts';

/** The chain that leads to those of all containers. */
export const DNAT = 'CNI-HOSTPORT-DNAT';

const SETMARK = 'CNI-HOSTPORT-SETMARK';
const MASQ = 'CNI-HOSTPORT-MASQ';

/** Length of a chain's name: iptables allows 28. */
const CHAIN_LENGTH = 28;

/** How many ports the match multiport takes. */
const MULTIPORT_LIMIT = 15;

/** A container's chain, and the one that releases before 0.9 made beside it. */
export const chainsOf = (owner: Container): ContainerChain[] => [
  { table: 'nat', chain: hashedName('CNI-DN-', owner, CHAIN_LENGTH), entry: DNAT },
  { table: 'nat', chain: hashedName('CNI-SN-', owner, CHAIN_LENGTH), entry: 'CNI-HOSTPORT-SNAT' },
];

/** The name of a container's chain. */
export const chainOf = (owner: Container): string => hashedName('CNI-DN-', owner, CHAIN_LENGTH);

/** Whether a line begins and ends so. */
export const hasLine = (present: readonly string[], start: string, end: string): boolean =>
  present.some((line) => line.startsWith(start) && line.endsWith(end));

/** Takes a chain out with all that leads to it. */
export function removalLines(present: readonly string[], chain: string): string[] {
  if (!hasLine(present, `:${chain} `, '')) return [];
  return [...jumpRemovals(present, chain), `-F ${chain}`, `-X ${chain}`];
}

/** Chains and rules that all containers share, as far as they are missing. */
export function sharedLines(present: readonly string[], keys: MasqueradeKeys): string[] {
  const chain = (name: string) => (hasLine(present, `:${name} `, '') ? [] : [`-N ${name}`]);
  const rule = (verb: '-A' | '-I', name: string, text: string) => {
    const target = / -j (\S+)/.exec(text)?.[0] ?? '';
    const mark = /0x[0-9a-f]+\/0x[0-9a-f]+/.exec(text)?.[0] ?? '';
    const found = present.some(
      (line) => line.startsWith(`-A ${name} `) && line.includes(target) && line.includes(mark),
    );
    return found ? [] : [`${verb} ${name} ${text}`];
  };
  const mark = `0x${((1 << keys.markBit) >>> 0).toString(16)}`;
  const local = `-m addrtype --dst-type LOCAL -j ${DNAT}`;
  const marking =
    keys.snat && keys.externalChain === undefined
      ? [
          ...chain(SETMARK),
          ...chain(MASQ),
          ...rule(
            '-I',
            'POSTROUTING',
            `-m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`,
          ),
          ...rule(
            '-A',
            SETMARK,
            `-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${mark}/${mark}`,
          ),
          ...rule('-A', MASQ, `-m mark --mark ${mark}/${mark} -j MASQUERADE`),
        ]
      : [];
  return [
    ...chain(DNAT),
    ...rule('-A', 'PREROUTING', local),
    ...rule('-A', 'OUTPUT', local),
    ...marking,
  ];
}

/**
 * The container's chain, its rules, and those that lead to it: one a protocol and fifteen ports. What an ADD of the same address
 * left goes; what leads to another address is that of another interface, which shares the chain, and stays.
 */
export function containerLines(
  present: readonly string[],
  owner: Attachment,
  wanted: readonly Forward[],
  config: PortmapConfig,
): string[] {
  const chain = chainOf(owner);
  const comment = `-m comment --comment ${quote(commentOf(owner))}`;
  const protocols = [...new Set(wanted.map(({ protocol }) => protocol))].toSorted();
  const conditions = config.conditions[wanted[0]?.family ?? 4].map(quoteIfNeeded).join(' ');
  const entries = protocols.flatMap((protocol) =>
    portLists(wanted, protocol).map((ports) =>
      [
        `-A ${DNAT} ${comment} -m multiport -p ${protocol} --destination-ports ${ports}`,
        ...(conditions === '' ? [] : [conditions]),
        `-j ${chain}`,
      ].join(' '),
    ),
  );
  return [
    ...emptyChain(present, chain, wanted),
    ...wanted.flatMap((forward) => forwardLines(chain, forward, config)),
    ...evidenceLines(chain, owner),
    ...entries,
  ];
}

/** The lines after which there is a chain, empty but for what leads to other addresses. */
function emptyChain(
  present: readonly string[],
  chain: string,
  wanted: readonly Forward[],
): string[] {
  if (!hasLine(present, `:${chain} `, '')) return [`-N ${chain}`];
  const own = wanted.map(({ pod, family }) =>
    family === 4 ? ` ${pod.address}:` : ` [${pod.address}]:`,
  );
  const translations = present.filter(
    (line) => line.startsWith(`-A ${chain} `) && line.includes(' --to-destination '),
  );
  const isShared = translations.some((line) => !own.some((target) => line.includes(target)));
  return isShared ? [] : [...jumpRemovals(present, chain), `-F ${chain}`];
}

const jumpRemovals = (present: readonly string[], chain: string): string[] =>
  present
    .filter((line) => line.startsWith('-A ') && line.endsWith(` -j ${chain}`))
    .map((line) => line.replace(/^-A /, '-D '));

const quoteIfNeeded = (token: string): string =>
  /^[^\s"'\\]+$/.test(token) ? token : quote(token);

/** A rule that does nothing: its comment tells when the container is gone. The reference plugin deletes the chain with it. */
function evidenceLines(chain: string, { netns }: Attachment): string[] {
  const evidence = evidenceOf(netns, IPTABLES_COMMENT_LENGTH);
  return evidence === '' ? [] : [`-A ${chain} -m comment --comment ${quote(evidence)}`];
}

function commentOf({ network, containerID }: Container): string {
  const text = `dnat name: "${network}" id: "${containerID}"`;
  // As the reference plugin cuts it.
  return text.length <= IPTABLES_COMMENT_LENGTH
    ? text
    : `${text.slice(0, IPTABLES_COMMENT_LENGTH - 2)}...`;
}

/** "8080,8081": the ports of a protocol, fifteen a piece. */
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

/** What a mapping leads to, as iptables writes it. */
export const targetOf = ({ family, pod, containerPort }: Forward): string =>
  family === 4 ? `${pod.address}:${containerPort}` : `[${pod.address}]:${containerPort}`;

/** Whose rule a line of the entry chain is. */
export function parseComment(line: string): Container | undefined {
  const [, network, containerID] = /dnat name: \\"(.+?)\\" id: \\"(.+?)\\"/.exec(line) ?? [];
  return network === undefined || containerID === undefined ? undefined : { network, containerID };
}
