/** Rules of a table as iptables-save prints them: read, compared without their comments, deleted again. Pure. */

/** One rule. */
export interface Rule {
  readonly chain: string;
  /** Matches and target without comments: releases of the reference plugin word them differently. */
  readonly spec: string;
  /** The target, or empty. */
  readonly target: string;
  /** The whole line, "-A CHAIN …". */
  readonly line: string;
}

/** A table: the names of its chains, and its rules in their order. */
export interface Table {
  readonly chains: ReadonlySet<string>;
  readonly rules: readonly Rule[];
}

const COMMENT = /-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+) ?/g;

/** Reads the lines of one table. */
export function parseTable(lines: readonly string[]): Table {
  const chains = new Set<string>();
  const rules: Rule[] = [];
  for (const line of lines) {
    const [, chain] = /^:(\S+) /.exec(line) ?? [];
    if (chain !== undefined) chains.add(chain);
    const [, owner, text] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (owner === undefined || text === undefined) continue;
    const spec = text.replaceAll(COMMENT, '').trimEnd();
    rules.push({ chain: owner, spec, target: /-[jg] (\S+)/.exec(spec)?.[1] ?? '', line });
  }
  return { chains, rules };
}

/** The rules of a chain, in their order. */
export const rulesOf = ({ rules }: Table, chain: string): Rule[] =>
  rules.filter((rule) => rule.chain === chain);

/** Whether a chain has a rule, whatever its comment. */
export const hasRule = ({ rules }: Table, chain: string, spec: string): boolean =>
  rules.some((rule) => rule.chain === chain && rule.spec === spec);

/** The lines that make chains which are missing. */
export const chainLines = ({ chains }: Table, ...names: readonly string[]): string[] =>
  [...new Set(names)].filter((name) => !chains.has(name)).map((name) => `-N ${name}`);

/** The lines that take rules out. */
export const removal = (rules: readonly Rule[]): string[] =>
  rules.map(({ line }) => line.replace(/^-A/, '-D'));

/** A comment as iptables-save writes it. */
export const comment = (text: string): string => `-m comment --comment "${text}"`;

/**
 * The lines that take chains out with all that is in them and the rules of `entry` that lead to them; none while anything else
 * leads to one of them. They may lead to each other.
 */
export function dissolution(table: Table, entry: string, chains: readonly string[]): string[] {
  const present = chains.filter((chain) => table.chains.has(chain));
  const jumps = table.rules.filter(({ target }) => present.includes(target));
  const isOurs = ({ chain }: Rule) => chain === entry || chains.includes(chain);
  if (!jumps.every(isOurs)) return [];
  return [
    ...removal(jumps.filter(({ chain }) => chain === entry)),
    ...present.map((chain) => `-F ${chain}`),
    ...present.map((chain) => `-X ${chain}`),
  ];
}
