/**
 * iptables as the reference plugins use it: one iptables-save reads the rules of a family, one
 * iptables-restore makes them. Chains of iptables-nft are deleted through nf_tables, without a
 * program; chains of iptables-legacy by its own programs.
 */
import type { Address, Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { isNetlinkError, type NetlinkError } from '#lib/net/netlink.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { hasLegacyChain, hasLegacyChains, type XtablesName } from '#lib/net/xtables.ts';
import { ChildError, type ChildResult, runChild } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { isNetfilterError, NetfilterError } from './error.ts';
import {
  chainRemoval,
  jumpsTo,
  optionOf,
  parseTable,
  removal,
  type Rule,
  rulesOf,
  type Table as IptablesTable,
} from './iptables-table.ts';

/**
 * The programs of the flavour that the host has. Those of the legacy flavour have "-legacy" behind
 * the name.
 */
const PROGRAMS = { 4: 'iptables', 6: 'ip6tables' } as const satisfies Record<Family, string>;

/** The families of tables that iptables-nft keeps. */
const TABLE_FAMILIES = { 4: 'ip', 6: 'ip6' } as const satisfies Record<Family, Table['family']>;

/** How long iptables waits for its lock, and how long we wait for iptables. */
const LOCK_SECONDS = 10;
const CHILD_LIMIT_MS = 30_000;

/** How often a change is tried that fails. */
const RACE_LIMIT = 5;

/** A container's chain, and the shared chain whose rules lead to it. */
export interface ContainerChain {
  readonly table: XtablesName;
  readonly chain: string;
  readonly entry: string;
}

/** Where iptables-nft keeps a table. */
export const nftTable = (family: Family, name: XtablesName): Table => ({
  family: TABLE_FAMILIES[family],
  name,
});

/** Whether a table has a chain, in either flavour of iptables. @throws NetlinkError, SysError */
export const hasChain = (
  nftables: Nftables | undefined,
  family: Family,
  { table, chain }: Pick<ContainerChain, 'table' | 'chain'>,
): boolean =>
  nftables?.hasChain(nftTable(family, table), chain) === true ||
  hasLegacyChain(family, table, chain);

/**
 * Deletes a container's chain with the rules that lead to it. With `sources` it deletes only the
 * rules for those source addresses, and the chain if no other rule is left. Absence is accepted.
 * @throws NetfilterError, NetlinkError
 */
export function deleteChain(
  nftables: Nftables | undefined,
  family: Family,
  chain: ContainerChain,
  sources?: readonly Address[],
): void {
  if (nftables !== undefined) deleteFromNftables(nftables, family, chain, sources);
  if (hasLegacyChain(family, chain.table, chain.chain)) deleteFromLegacy(family, chain, sources);
}

function deleteFromNftables(
  nftables: Nftables,
  family: Family,
  { table: name, chain, entry }: ContainerChain,
  sources: readonly Address[] | undefined,
): void {
  const table = nftTable(family, name);
  if (!nftables.hasChain(table, chain)) return;
  const jumps = nftables.listRules(table, entry).filter(({ targets }) => targets.includes(chain));
  const own = jumps.filter(
    ({ values }) => sources === undefined || values.some((value) => isSource(sources, value)),
  );
  const isLast = own.length === jumps.length;
  const requests = [
    ...own.map(({ handle }) => nft.deleteRules(table, entry, handle)),
    ...(isLast ? [nft.deleteRules(table, chain), nft.deleteChain(table, chain)] : []),
  ];
  // Another DEL of the same pod may be quicker. If only a rule is gone, the chain is still there:
  // nothing was deleted.
  const isGone = (error: unknown): error is NetlinkError =>
    isNetlinkError(error, 'ENOENT') && !nftables.hasChain(table, chain);
  recover(() => nftables.commit(requests), isGone);
}

/** Whether the bytes that a rule compares with are one of the addresses. */
const isSource = (sources: readonly Address[], value: Uint8Array): boolean =>
  sources.some((address) => Buffer.compare(address.toBytes(), value) === 0);

function deleteFromLegacy(
  family: Family,
  { table: name, chain, entry }: ContainerChain,
  sources: readonly Address[] | undefined,
): void {
  const program = `${PROGRAMS[family]}-legacy`;
  const table = save(program, name);
  const jumps = jumpsTo(table, { chain: entry, target: chain });
  const texts = sources?.map((address) => String(Prefix.host(address)));
  const own = jumps.filter((rule) => texts?.includes(optionOf(rule, '-s') ?? '') ?? true);
  const isLast = own.length === jumps.length;
  try {
    restore(program, name, isLast ? chainRemoval(table, chain) : removal(own));
  } catch (error) {
    // Another DEL of the same pod may be quicker.
    if (hasLegacyChain(family, name, chain)) throw error;
  }
}

/**
 * A table in the flavour that the host's iptables has. @throws NetfilterError with iptables' words
 */
export const readTable = (family: Family, table: XtablesName): IptablesTable =>
  save(PROGRAMS[family], table);

/** A container's part of a table: the rule that leads to its chain, and the rules in that. */
export interface ContainerRules {
  readonly jump: Rule;
  readonly rules: readonly Rule[];
}

/**
 * The containers whose chains a shared chain leads to, in either flavour of iptables; the names of
 * their chains begin with `prefix`. Starts no program if there are none.
 * @throws NetfilterError with iptables' words
 */
export function listContainers(
  nftables: Nftables | undefined,
  family: Family,
  { table, entry }: Pick<ContainerChain, 'table' | 'entry'>,
  prefix: string,
): ContainerRules[] {
  const isPresent = nftables
    ?.listRules(nftTable(family, table), entry)
    .some(({ targets }) => targets.some((target) => target.startsWith(prefix)));
  const tables = [
    ...(isPresent === true ? [readTable(family, table)] : []),
    ...(hasLegacyChains(family, table, prefix) ? [save(`${PROGRAMS[family]}-legacy`, table)] : []),
  ];
  return tables.flatMap((read) =>
    rulesOf(read, entry)
      .filter(({ target }) => target.startsWith(prefix))
      .map((jump) => ({ jump, rules: rulesOf(read, jump.target) })),
  );
}

/**
 * Carries out all of these lines for iptables-restore or none; other rules stay.
 * @throws NetfilterError with iptables' words
 */
export const changeTable = (family: Family, table: XtablesName, lines: readonly string[]): void =>
  restore(PROGRAMS[family], table, lines);

/**
 * Changes a table by the lines that `linesFor` makes of its content. If the change fails, both are
 * done again: the reference plugins take no lock between reading and writing, so that somebody may
 * have changed the same chains in between. @throws NetfilterError with iptables' words, or what
 * linesFor throws
 */
export function updateTable(
  family: Family,
  table: XtablesName,
  linesFor: (present: IptablesTable) => readonly string[],
): void {
  for (let tries = 1; ; tries += 1) {
    const lines = linesFor(readTable(family, table));
    try {
      changeTable(family, table, lines);
      return;
    } catch (error) {
      // A change that took too long would take too long again.
      if (!isNetfilterError(error, 'failed') || tries === RACE_LIMIT) throw error;
    }
  }
}

/** Whether this host has the programs of a family. */
export function hasIptables(family: Family = 4): boolean {
  const ask = () => run(`${PROGRAMS[family]}-restore`, ['--version'], '');
  return recover(ask, instanceOf(NetfilterError))?.exitCode === 0;
}

function save(program: string, table: XtablesName): IptablesTable {
  const { exitCode, stdout, stderr, ending } = run(`${program}-save`, ['-t', table], '');
  if (exitCode !== 0) {
    throw new NetfilterError('failed', `${program}-save failed: ${stderr.trim() || ending}`);
  }
  return parseTable(stdout);
}

function restore(program: string, table: XtablesName, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const input = [`*${table}`, ...lines, 'COMMIT', ''].join('\n');
  const args = ['--noflush', `--wait=${LOCK_SECONDS}`];
  const { exitCode, stderr, ending } = run(`${program}-restore`, args, input);
  if (exitCode !== 0) {
    const message = `${program}-restore failed: ${stderr.trim() || ending}`;
    throw new NetfilterError('failed', message, input);
  }
}

function run(program: string, args: readonly string[], input: string): ChildResult {
  try {
    return runChild(program, args, { input: Buffer.from(input), timeoutMs: CHILD_LIMIT_MS });
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    const code = error.code === 'timeout' ? 'timeout' : 'missing';
    const advice = 'is the iptables package installed?';
    throw new NetfilterError(code, error.message, advice, { cause: error });
  }
}
