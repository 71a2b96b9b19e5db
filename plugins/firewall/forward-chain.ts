/**
 * CNI-FORWARD: lets pods' traffic through a FORWARD chain that drops. The reference plugin's rules,
 * as lines. Pure.
 */
import type { Prefix } from '#lib/addr/prefix.ts';
import {
  chainLines,
  comment,
  dissolution,
  hasRule,
  removal,
  type Rule,
  rulesOf,
  type Table,
} from '#lib/netfilter/iptables-table.ts';

/** The kernel's chain for all forwarded packets. */
export const FORWARD = 'FORWARD';

/** The chain of the pods' rules. */
export const PODS = 'CNI-FORWARD';

/** The chain that keeps bridges apart. Its jump has to come before that of PODS, which accepts. */
export const STAGE_1 = 'CNI-ISOLATION-STAGE-1';

const ENTRY_COMMENT = comment('CNI firewall plugin rules');
const ADMIN_COMMENT = comment('CNI firewall plugin admin overrides');

/** The rules of a pod: for answers to it, and for all that it sends. */
const podSpecs = (pod: Prefix): string[] => [
  `-d ${pod} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-s ${pod} -j ACCEPT`,
];

const isPodRule = ({ spec }: Rule): boolean =>
  /^(-s \S+ -j ACCEPT|-d \S+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT)$/.test(spec);

const isAdminJump = ({ line }: Rule): boolean => line.includes(ADMIN_COMMENT);

/** The lines that add the chains and rules which are missing to let pods' traffic through. */
export function admissionLines(
  table: Table,
  pods: readonly Prefix[],
  adminChain: string,
): string[] {
  const lines = chainLines(table, PODS, adminChain);
  if (!hasRule(table, { chain: FORWARD, spec: `-j ${PODS}` })) {
    lines.push(`-I ${FORWARD} ${entryPlace(table)} ${ENTRY_COMMENT} -j ${PODS}`);
  }
  if (!hasRule(table, { chain: PODS, spec: `-j ${adminChain}` })) {
    lines.push(`-I ${PODS} ${ADMIN_COMMENT} -j ${adminChain}`);
  }
  const isMissing = (spec: string) => !hasRule(table, { chain: PODS, spec });
  const specs = pods.flatMap(podSpecs).filter(isMissing);
  return [...lines, ...specs.map((spec) => `-A ${PODS} ${spec}`)];
}

/**
 * The number of the jump to PODS among FORWARD's rules: the first one after the jump to STAGE_1.
 */
const entryPlace = (table: Table): number =>
  rulesOf(table, FORWARD).findLastIndex(({ target }) => target === STAGE_1) + 2;

/** The missing rules of pods, in words. */
export function missingAdmission(
  table: Table,
  pods: readonly Prefix[],
  adminChain: string,
): string[] {
  const shared = [
    { chain: FORWARD, spec: `-j ${PODS}` },
    { chain: PODS, spec: `-j ${adminChain}` },
  ];
  return [...shared, ...pods.flatMap(podSpecs).map((spec) => ({ chain: PODS, spec }))]
    .filter((rule) => !hasRule(table, rule))
    .map(({ chain, spec }) => `${chain} ${spec}`);
}

/**
 * The lines that delete pods' rules. With `isLast` they delete the chain too if no other pod's rule
 * is left, and the administrator's chain if it is empty.
 */
export function departureLines(table: Table, pods: readonly Prefix[], isLast: boolean): string[] {
  const specs = new Set(pods.flatMap(podSpecs));
  const isGone = ({ spec }: Rule) => specs.has(spec);
  const rules = rulesOf(table, PODS);
  const lines = removal(rules.filter(isGone));
  const rest = rules.filter((rule) => !isGone(rule));
  if (!isLast || !rest.every(isAdminJump)) return lines;
  const end = dissolution(table, FORWARD, [PODS]);
  if (end.length === 0) return lines;
  const admins = new Set(rest.map(({ target }) => target));
  return [...lines, ...end, ...[...admins].flatMap((chain) => emptyChainEnd(table, chain))];
}

function emptyChainEnd(table: Table, chain: string): string[] {
  const isUsed = table.rules.some(
    (rule) => rule.chain === chain || (rule.target === chain && rule.chain !== PODS),
  );
  return isUsed || !table.chains.has(chain) ? [] : [`-X ${chain}`];
}

/**
 * Whether there is a pod's rule for any other address: another suite made it, or an ADD with
 * another folder.
 */
export function hasStrangers(table: Table, known: readonly Prefix[]): boolean {
  const specs = new Set(known.flatMap(podSpecs));
  return rulesOf(table, PODS).some((rule) => isPodRule(rule) && !specs.has(rule.spec));
}
