/** The rules in the kernel: one iptables-save and one iptables-restore a family, of the families that a pod has alone. */
import { FAMILIES, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { broken, type Findings } from '#lib/cni/finding.ts';
import { openNftablesIfAny } from '#lib/netfilter/backend.ts';
import { hasChain, readTable, updateTable } from '#lib/netfilter/iptables.ts';
import type { FirewallConfig, Holding } from './config.ts';
import {
  admissionLines,
  departureLines,
  hasStrangers,
  missingAdmission,
  PODS,
  STAGE_1,
} from './forward-chain.ts';
import { type Isolation, isolationLines, missingIsolation, releaseLines } from './isolation.ts';
import type { Table } from '#lib/netfilter/iptables-table.ts';
import { deleteHolding, listOthers, lockChains } from './store.ts';

const ofFamily = (addresses: readonly Prefix[], family: Family): Prefix[] =>
  addresses.filter((address) => address.family === family);

/** Whether iptables has anything to do for an attachment. */
const needsIptables = ({ backend, isolation }: Holding): boolean =>
  backend === 'iptables' || isolation !== undefined;

/** Makes the rules of an attachment, what is there already excepted. @throws CniError with what iptables said; LockTimeout */
export function admit(config: FirewallConfig, holding: Holding): void {
  if (!needsIptables(holding) || holding.addresses.length === 0) return;
  using _lock = lockChains(config.dataDir);
  for (const family of FAMILIES) {
    const pods = ofFamily(holding.addresses, family);
    if (pods.length === 0) continue;
    change(family, (table) => [
      ...(holding.backend === 'iptables'
        ? admissionLines(table, pods, config.iptablesAdminChainName)
        : []),
      ...(holding.isolation === undefined ? [] : isolationLines(table, holding.isolation)),
    ]);
  }
}

/**
 * Takes out the rules of attachments, and what is shared with the last: chains that no file and no rule speaks for; then their
 * files. Rules of an address that another attachment has by now stay. @throws CniError with what iptables said; LockTimeout
 */
export function dismiss(dataDir: string, leaving: readonly Holding[]): void {
  const families = FAMILIES.filter(
    (family) =>
      leaving.some(({ addresses }) => ofFamily(addresses, family).length > 0) && hasRules(family),
  );
  // The files go under the lock, too: of two that leave at once, the second must see that it is the last.
  using _lock = families.length === 0 ? undefined : lockChains(dataDir);
  const staying = families.length === 0 ? [] : listOthers(dataDir, leaving);
  cleanUp(
    ...families.map((family) => () => {
      change(family, (table) =>
        dismissalLines(table, scope(leaving, family), scope(staying, family)),
      );
    }),
  );
  for (const holding of leaving) deleteHolding(dataDir, holding);
}

/** What matters of attachments to the rules of one family. */
interface Scope {
  readonly pods: readonly Prefix[];
  readonly isolations: readonly Isolation[];
}

function scope(holdings: readonly Holding[], family: Family): Scope {
  const own = holdings.filter(({ addresses }) => ofFamily(addresses, family).length > 0);
  const admitted = own.filter(({ backend }) => backend === 'iptables');
  return {
    pods: admitted.flatMap(({ addresses }) => ofFamily(addresses, family)),
    isolations: own
      .map(({ isolation }) => isolation)
      .filter((isolation) => isolation !== undefined),
  };
}

function dismissalLines(table: Table, leaving: Scope, staying: Scope): string[] {
  const gone = leaving.pods.filter((pod) => !staying.pods.some((other) => other.equals(pod)));
  // A pod that the reference plugin let in may be on any bridge.
  const ended = hasStrangers(table, [...gone, ...staying.pods]) ? [] : leaving.isolations;
  return [
    ...departureLines(table, gone, staying.pods.length === 0),
    ...releaseLines(table, ended, staying.isolations),
  ];
}

/** Whether a family has any of the chains: asked of the kernel, without a program. @throws NetlinkError, SysError */
function hasRules(family: Family): boolean {
  using nftables = openNftablesIfAny();
  return [PODS, STAGE_1].some((chain) => hasChain(nftables, family, { table: 'filter', chain }));
}

const change = (family: Family, linesFor: (table: Table) => string[]): void =>
  updateTable(family, 'filter', linesFor);

/** CHECK: all rules of an attachment are there. */
export function* checkRules(config: FirewallConfig, holding: Holding): Findings {
  if (!needsIptables(holding)) return;
  for (const family of FAMILIES) {
    const pods = ofFamily(holding.addresses, family);
    if (pods.length === 0) continue;
    const table = readTable(family, 'filter');
    const missing = [
      ...(holding.backend === 'iptables'
        ? missingAdmission(table, pods, config.iptablesAdminChainName)
        : []),
      ...(holding.isolation === undefined ? [] : missingIsolation(table, holding.isolation)),
    ];
    const [first] = missing;
    if (first === undefined) continue;
    yield broken(
      `expected rule [${first}] not found`,
      `missing in table filter of IPv${family}: ${missing.join('; ')}`,
    );
  }
}
