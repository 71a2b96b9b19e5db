/**
 * The ingress policies: chains that keep pods of bridges apart. The reference plugin's rules, as
 * lines. Pure.
 */
import type { IsolatingPolicy } from './config.ts';
import { FORWARD, PODS, STAGE_1 } from './forward-chain.ts';
import {
  chainLines,
  comment,
  dissolution,
  hasRule,
  removal,
  rulesOf,
  type Table,
} from '#lib/netfilter/iptables-table.ts';

/** The chain for packets that leave such a bridge: it drops those to another such bridge. */
const STAGE_2 = 'CNI-ISOLATION-STAGE-2';

/** A bridge whose pods are kept apart. */
export interface Isolation {
  readonly bridge: string;
  readonly policy: IsolatingPolicy;
}

const policyComment = (policy: IsolatingPolicy): string =>
  comment(`CNI firewall plugin rules (ingressPolicy: ${policy})`);

/** The comment of rules for all bridges: the reference plugin's from when there was one policy. */
const SHARED_COMMENT = policyComment('same-bridge');

/** A rule for a bridge. */
interface BridgeRule {
  readonly chain: string;
  readonly match: string;
  readonly target: string;
  readonly comment: string;
}

const withinBridge = (bridge: string): string => `-i ${bridge} -o ${bridge}`;

function bridgeRules({ bridge, policy }: Isolation): BridgeRule[] {
  const own = policyComment(policy);
  const leave = {
    chain: STAGE_1,
    match: `-i ${bridge} ! -o ${bridge}`,
    target: STAGE_2,
    comment: own,
  };
  const enter = { chain: STAGE_2, match: `-o ${bridge}`, target: 'DROP', comment: SHARED_COMMENT };
  const stay = { chain: STAGE_1, match: withinBridge(bridge), target: 'DROP', comment: own };
  return policy === 'isolated' ? [leave, stay, enter] : [leave, enter];
}

const specOf = ({ match, target }: BridgeRule): string => `${match} -j ${target}`;

/** The lines that add the chains and rules which are missing to keep the pods of a bridge apart. */
export function isolationLines(table: Table, isolation: Isolation): string[] {
  const lines = chainLines(table, STAGE_1, STAGE_2);
  for (const rule of bridgeRules(isolation)) {
    if (hasRule(table, { chain: rule.chain, spec: specOf(rule) })) continue;
    lines.push(`-I ${rule.chain} ${rule.match} ${rule.comment} -j ${rule.target}`);
  }
  for (const chain of [STAGE_1, STAGE_2]) {
    if (hasRule(table, { chain, spec: '-j RETURN' })) continue;
    lines.push(`-A ${chain} ${SHARED_COMMENT} -j RETURN`);
  }
  return [...lines, ...entryLines(table)];
}

/** The lines that put the jump before that of PODS, which accepts; none if it is there. */
function entryLines(table: Table): string[] {
  const jumps = rulesOf(table, FORWARD);
  const first = jumps.findIndex(({ target }) => target === STAGE_1);
  const pods = jumps.findIndex(({ target }) => target === PODS);
  if (first !== -1 && (pods === -1 || first < pods)) return [];
  const wrong = jumps.filter(({ target }) => target === STAGE_1);
  return [...removal(wrong), `-I ${FORWARD} ${SHARED_COMMENT} -j ${STAGE_1}`];
}

/** The missing rules of a bridge, in words. */
export function missingIsolation(table: Table, isolation: Isolation): string[] {
  const rules = bridgeRules(isolation).map((rule) => ({ chain: rule.chain, spec: specOf(rule) }));
  const missing = rules
    .filter((rule) => !hasRule(table, rule))
    .map(({ chain, spec }) => `${chain} ${spec}`);
  return entryLines(table).length === 0 ? missing : [...missing, `${FORWARD} -j ${STAGE_1}`];
}

/**
 * The lines that end isolations that no attachment asks for any more; `kept` are those that others
 * ask for. With the last bridge the chains go.
 */
export function releaseLines(
  table: Table,
  { ended, kept }: { readonly ended: readonly Isolation[]; readonly kept: readonly Isolation[] },
): string[] {
  const keptSpecs = new Set(kept.flatMap(bridgeRules).map(specOf));
  const specs = new Set(ended.flatMap(bridgeRules).map(specOf));
  const isGone = ({ chain, spec }: Table['rules'][number]) =>
    (chain === STAGE_1 || chain === STAGE_2) && specs.has(spec) && !keptSpecs.has(spec);
  if (ended.length === 0) return [];
  const gone = table.rules.filter(isGone);
  const rest = [...rulesOf(table, STAGE_1), ...rulesOf(table, STAGE_2)].filter(
    (rule) => !isGone(rule) && rule.spec !== '-j RETURN',
  );
  const isUsed = rest.length > 0 || kept.length > 0;
  const end = isUsed ? [] : dissolution(table, FORWARD, [STAGE_1, STAGE_2]);
  return end.length > 0 ? end : removal(gone);
}
