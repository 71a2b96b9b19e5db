/**
 * Tables as iptables-save prints them: read once, asked by chain, target and option; and lines of
 * iptables-restore. Pure.
 */

/** One rule. */
export interface Rule {
  readonly chain: string;
  /**
   * Matches and target without comments: releases of the reference plugins word them differently.
   */
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

/** One argument as iptables-save writes it: in quotes if it holds blanks. */
const ARGUMENT = /"(?:[^"\\]|\\.)*"|\S+/g;

/** The match that carries a comment, with its text. */
const COMMENT = /-m comment --comment ("(?:[^"\\]|\\.)*"|\S+) ?/g;

/** Reads one table. Lines that are neither a chain nor a rule are skipped. */
export function parseTable(text: string): Table {
  const chains = new Set<string>();
  const rules: Rule[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith(':')) chains.add(line.slice(1, line.indexOf(' ')));
    else if (line.startsWith('-A ')) rules.push(parseRule(line));
  }
  return { chains, rules };
}

function parseRule(line: string): Rule {
  const [, chain = '', text = ''] = /^-A (\S+) ?(.*)$/s.exec(line) ?? [];
  const spec = text.replaceAll(COMMENT, '').trimEnd();
  return { chain, spec, target: /(?:^| )-[jg] (\S+)/.exec(spec)?.[1] ?? '', line };
}

/**
 * The value of an option of a rule, such as `--dport`, without quotes; undefined if the rule does
 * not have it, or has its negation. If an option comes twice, the first one counts.
 */
export function optionOf({ spec }: Rule, option: string): string | undefined {
  const words: readonly string[] = spec.match(ARGUMENT) ?? [];
  const at = words.indexOf(option);
  return at < 0 || words[at - 1] === '!' ? undefined : unquote(words[at + 1] ?? '');
}

/** The first comment of a rule, without quotes; undefined if it has none. */
export function commentOf({ line }: Rule): string | undefined {
  const [match] = line.matchAll(COMMENT);
  return match === undefined ? undefined : unquote(match[1] ?? '');
}

const unquote = (argument: string): string =>
  argument.startsWith('"') ? argument.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : argument;

/** The rules of a chain, in their order. */
export const rulesOf = ({ rules }: Table, chain: string): Rule[] =>
  rules.filter((rule) => rule.chain === chain);

/** Whether a chain has a rule, whatever its comment. */
export const hasRule = ({ rules }: Table, { chain, spec }: Pick<Rule, 'chain' | 'spec'>): boolean =>
  rules.some((rule) => rule.chain === chain && rule.spec === spec);

/** The rules of a chain that lead to another. */
export const jumpsTo = (table: Table, { chain, target }: Pick<Rule, 'chain' | 'target'>): Rule[] =>
  rulesOf(table, chain).filter((rule) => rule.target === target);

/** The lines that make chains which are missing. */
export const chainLines = ({ chains }: Table, ...names: readonly string[]): string[] =>
  [...new Set(names)].filter((name) => !chains.has(name)).map((name) => `-N ${name}`);

/** The lines that delete rules. */
export const removal = (rules: readonly Rule[]): string[] =>
  rules.map(({ line }) => line.replace(/^-A/, '-D'));

/** The lines that delete a chain with the rules that lead to it; none if there is no such chain. */
export function chainRemoval(table: Table, chain: string): string[] {
  if (!table.chains.has(chain)) return [];
  const jumps = table.rules.filter(({ target }) => target === chain);
  return [...removal(jumps), `-F ${chain}`, `-X ${chain}`];
}

/** A text as one argument, with blanks and quotes. */
export const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/** The match that carries a comment. */
export const comment = (text: string): string => `-m comment --comment ${quote(text)}`;

/**
 * The lines that delete chains with their rules, and the rules of `entry` that lead to them; none
 * while any other chain leads to one of them. They may lead to each other.
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
