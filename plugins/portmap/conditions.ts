/**
 * Conditions of nftables mappings, in the nft program's language: the one thing here that needs a
 * child. It runs when a network's first pod with a port mapping comes, not for every pod.
 */
import type { Nftables } from '#lib/net/nftables.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { type Findings, unavailable } from '#lib/cni/finding.ts';
import { ChildError, runChild } from '#lib/sys/process.ts';
import { type Policy, TABLES } from './tables.ts';

const CHILD_LIMIT_MS = 30_000;

const ADVICE = 'conditions of the nftables backend need the nft program: is it installed?';

/**
 * Fills the chain that asks for a policy's conditions, if nobody has. @throws CniError with what
 * nft said
 */
export function addConditions(
  nftables: Nftables,
  { family, chain, entry, conditions }: Policy,
): void {
  if (conditions.length === 0 || nftables.listRules(TABLES[family], entry).length > 0) return;
  const table = `${TABLES[family].family} ${TABLES[family].name}`;
  const script = [
    `flush chain ${table} ${entry}`,
    `add rule ${table} ${entry} ${conditions.join(' ')} goto ${chain}`,
    '',
  ].join('\n');
  const { exitCode, stderr, ending } = run(script);
  if (exitCode === 0) return;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `nft refused conditionsV${family} [${conditions.join(' ')}]: ${stderr.trim() || ending}`,
    script,
  );
}

/** STATUS: the program that makes conditions is there. */
export function* checkNft(): Findings {
  try {
    runChild('nft', ['--version'], { timeoutMs: CHILD_LIMIT_MS });
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    yield unavailable(`Cannot map ports under conditions: ${error.message}`, ADVICE);
  }
}

function run(script: string) {
  try {
    return runChild('nft', ['-f', '-'], {
      input: Buffer.from(script),
      timeoutMs: CHILD_LIMIT_MS,
    });
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    const code = error.code === 'timeout' ? CODE.TRY_AGAIN_LATER : CODE.IO_FAILURE;
    throw new CniError(code, error.message, ADVICE, { cause: error });
  }
}
