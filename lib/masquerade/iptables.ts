/**
 * Masquerading with iptables, in the reference plugins' chains, so that theirs delete ours and ours theirs. Rules are made
 * by one iptables-restore a family. Those of iptables-nft are deleted through nf_tables itself, without a program.
 */
import type { Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { isNetlinkError } from '#lib/net/netlink.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';
import { hasLegacyNatChain } from '#lib/net/xtables.ts';
import { ChildError, type ChildResult, runChild } from '#lib/sys/process.ts';
import { iptablesChain, iptablesComment } from './owner.ts';
import { exemptions, type MasqueradePolicy, MULTICAST } from './policy.ts';

const FAMILIES: readonly Family[] = [4, 6];

/** Where iptables-nft keeps its nat table. */
const NAT_TABLES = {
  4: { family: 'ip', name: 'nat' },
  6: { family: 'ip6', name: 'nat' },
} as const satisfies Record<Family, Table>;
const POSTROUTING = 'POSTROUTING';

/** Names of a program: in the flavour asked for, or as whatever the host has. */
const PROGRAMS = { 4: 'iptables', 6: 'ip6tables' } as const;

/** How long iptables waits for its lock, and how long we wait for iptables. */
const LOCK_SECONDS = 10;
const CHILD_LIMIT_MS = 30_000;

/** Masquerades a pod's addresses; repeated it changes nothing. @throws CniError with what iptables said */
export function addMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Prefix[],
  policy: MasqueradePolicy,
): void {
  const chain = iptablesChain(owner);
  for (const family of FAMILIES) {
    const own = addresses.filter((address) => address.family === family);
    if (own.length === 0) continue;
    // What an ADD that died left. Another interface of the container may go on using the chain.
    deleteFrom(nftables, family, chain, own);
    const declaration = hasChain(nftables, family, chain) ? [] : [`:${chain} - [0:0]`];
    const lines = own.flatMap((address) => addLines(owner, address, policy));
    restore(PROGRAMS[family], [...declaration, ...lines]);
  }
}

function addLines(owner: Attachment, address: Prefix, policy: MasqueradePolicy): string[] {
  const chain = iptablesChain(owner);
  const comment = `-m comment --comment ${quote(iptablesComment(owner))}`;
  return [
    ...exemptions(address, policy).map((prefix) => `-A ${chain} -d ${prefix} ${comment} -j ACCEPT`),
    `-A ${chain} ! -d ${MULTICAST[address.family]} ${comment} -j MASQUERADE`,
    `-A ${POSTROUTING} -s ${address.address} ${comment} -j ${chain}`,
  ];
}

/** As iptables-save writes arguments with blanks and quotes. */
const quote = (text: string): string => `"${text.replaceAll('"', '\\"')}"`;

/**
 * Deletes what we or the reference plugins made for these addresses of a container in a network, or undefined: for all;
 * nothing to delete is accepted. @throws CniError, NetlinkError
 */
export function deleteMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  addresses: readonly Prefix[] | undefined,
): void {
  for (const family of FAMILIES) deleteFrom(nftables, family, iptablesChain(owner), addresses);
}

function deleteFrom(
  nftables: Nftables | undefined,
  family: Family,
  chain: string,
  addresses: readonly Prefix[] | undefined,
): void {
  if (nftables !== undefined) deleteFromNftables(nftables, family, chain, addresses);
  if (hasLegacyNatChain(family, chain)) deleteFromLegacy(family, chain, addresses);
}

function hasChain(nftables: Nftables | undefined, family: Family, chain: string): boolean {
  return nftables?.hasChain(NAT_TABLES[family], chain) === true || hasLegacyNatChain(family, chain);
}

function deleteFromNftables(
  nftables: Nftables,
  family: Family,
  chain: string,
  addresses: readonly Prefix[] | undefined,
): void {
  const table = NAT_TABLES[family];
  if (!nftables.hasChain(table, chain)) return;
  const jumps = nftables
    .listRules(table, POSTROUTING)
    .filter(({ targets }) => targets.includes(chain));
  const own = jumps.filter(
    ({ values }) => addresses === undefined || values.some((value) => isSource(addresses, value)),
  );
  const isLast = own.length === jumps.length;
  try {
    nftables.commit([
      ...own.map(({ handle }) => nft.deleteRules(table, POSTROUTING, handle)),
      ...(isLast ? [nft.deleteRules(table, chain), nft.deleteChain(table, chain)] : []),
    ]);
  } catch (error) {
    // Another DEL of the same pod was quicker.
    if (!isNetlinkError(error, 'ENOENT') || nftables.hasChain(table, chain)) throw error;
  }
}

/** Whether bytes that a rule compares the source with are one of the addresses. */
const isSource = (addresses: readonly Prefix[], value: Uint8Array): boolean =>
  addresses.some(({ address }) => Buffer.compare(address.toBytes(), value) === 0);

function deleteFromLegacy(
  family: Family,
  chain: string,
  addresses: readonly Prefix[] | undefined,
): void {
  const program = `${PROGRAMS[family]}-legacy`;
  const rules = run(`${program}-save`, ['-t', 'nat'], '').stdout.split('\n');
  const jumps = rules.filter((line) => line.startsWith('-A ') && line.endsWith(` -j ${chain}`));
  const sources = addresses?.map(({ address }) => ` -s ${Prefix.host(address)} `);
  const own = jumps.filter((line) => sources?.some((source) => line.includes(source)) ?? true);
  const isLast = own.length === jumps.length;
  const lines = own.map((line) => line.replace(/^-A /, '-D '));
  try {
    restore(program, [...lines, ...(isLast ? [`-F ${chain}`, `-X ${chain}`] : [])]);
  } catch (error) {
    // Another DEL of the same pod was quicker.
    if (hasLegacyNatChain(family, chain)) throw error;
  }
}

/** Whether the rules of an attachment's addresses are there, by the chain that they go through. */
export function hasMasquerade(
  nftables: Nftables | undefined,
  owner: Attachment,
  family: Family,
): boolean {
  const chain = iptablesChain(owner);
  if (
    nftables
      ?.listRules(NAT_TABLES[family], POSTROUTING)
      .some(({ targets }) => targets.includes(chain))
  )
    return true;
  return hasLegacyNatChain(family, chain);
}

/** Whether this host has the program at all. */
export function isSupported(): boolean {
  try {
    return run('iptables-restore', ['--version'], '').exitCode === 0;
  } catch (error) {
    if (error instanceof CniError) return false;
    throw error;
  }
}

function restore(program: string, lines: readonly string[]): void {
  const input = ['*nat', ...lines, 'COMMIT', ''].join('\n');
  const args = ['--noflush', `--wait=${LOCK_SECONDS}`];
  const { exitCode, stderr, ending } = run(`${program}-restore`, args, input);
  if (exitCode !== 0) {
    throw new CniError(
      CODE.IO_FAILURE,
      `${program}-restore failed: ${stderr.trim() || ending}`,
      input,
    );
  }
}

function run(program: string, args: readonly string[], input: string): ChildResult {
  try {
    return runChild(program, args, { input: Buffer.from(input), timeoutMs: CHILD_LIMIT_MS });
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    const code = error.code === 'timeout' ? CODE.TRY_AGAIN_LATER : CODE.IO_FAILURE;
    throw new CniError(code, error.message, 'is the iptables package installed?', { cause: error });
  }
}
