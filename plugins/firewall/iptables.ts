/** The rules in the kernel: one iptables-save and one iptables-restore for each family of a pod. */
import { FAMILIES, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { broken, type Findings } from '#lib/cni/finding.ts';
import { openNftablesIfAny } from '#lib/netfilter/backend.ts';
import { hasChain, readTable, updateTable } from '#lib/netfilter/iptables.ts';
import type { FirewallConfig, Admission } from './config.ts';
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
import { deleteAdmission, listOthers, lockChains } from './store.ts';

const ofFamily = (addresses: readonly Prefix[], family: Family): Prefix[] =>
  addresses.filter((address) => address.family === family);

/** Whether iptables has anything to do for an admission. */
const needsIptables = ({ backend, isolation }: Admission): boolean =>
  backend === 'iptables' || isolation !== undefined;

/**
 * Makes the rules of an admission that are missing. @throws CniError with what iptables said;
 * LockTimeout
 */
export function admit(config: FirewallConfig, admission: Admission): void {
  if (!needsIptables(admission) || admission.addresses.length === 0) return;
  using _lock = lockChains(config.dataDir);
  for (const family of FAMILIES) {
    const pods = ofFamily(admission.addresses, family);
    if (pods.length === 0) continue;
    change(family, (table) => [
      ...(admission.backend === 'iptables'
        ? admissionLines(table, pods, config.iptablesAdminChainName)
        : []),
      ...(admission.isolation === undefined ? [] : isolationLines(table, admission.isolation)),
    ]);
  }
}

/**
 * Deletes the rules of admissions, and with the last the shared chains that neither a file nor a
 * rule needs; then their files. Rules of an address that another attachment has by now stay.
 * @throws NetfilterError with what iptables said; LockTimeout
 */
export function dismiss(dataDir: string, leaving: readonly Admission[]): void {
  const families = FAMILIES.filter(
    (family) =>
      leaving.some(({ addresses }) => ofFamily(addresses, family).length > 0) && hasRules(family),
  );
  // The files are deleted under the lock too: if two leave at once, the second must see that it is
  // the last.
  using _lock = families.length === 0 ? undefined : lockChains(dataDir);
  const staying = families.length === 0 ? [] : listOthers(dataDir, leaving);
  cleanUp(
    ...families.map((family) => () => {
      change(family, (table) =>
        dismissalLines(table, {
          leaving: scope(leaving, family),
          staying: scope(staying, family),
        }),
      );
    }),
  );
  for (const admission of leaving) deleteAdmission(dataDir, admission);
}

/** The pods and isolations of one family: its rules depend on them. */
interface Scope {
  readonly pods: readonly Prefix[];
  readonly isolations: readonly Isolation[];
}

function scope(admissions: readonly Admission[], family: Family): Scope {
  const own = admissions.filter(({ addresses }) => ofFamily(addresses, family).length > 0);
  const admitted = own.filter(({ backend }) => backend === 'iptables');
  return {
    pods: admitted.flatMap(({ addresses }) => ofFamily(addresses, family)),
    isolations: own
      .map(({ isolation }) => isolation)
      .filter((isolation) => isolation !== undefined),
  };
}

function dismissalLines(
  table: Table,
  { leaving, staying }: { readonly leaving: Scope; readonly staying: Scope },
): string[] {
  const gone = leaving.pods.filter((pod) => !staying.pods.some((other) => other.equals(pod)));
  // A pod of the reference plugin's may be on any bridge.
  const ended = hasStrangers(table, [...gone, ...staying.pods]) ? [] : leaving.isolations;
  return [
    ...departureLines(table, gone, staying.pods.length === 0),
    ...releaseLines(table, { ended, kept: staying.isolations }),
  ];
}

/**
 * Whether a family has any of the chains. Asks the kernel, without a program. @throws NetlinkError,
 * SysError
 */
function hasRules(family: Family): boolean {
  using nftables = openNftablesIfAny();
  return [PODS, STAGE_1].some((chain) => hasChain(nftables, family, { table: 'filter', chain }));
}

const change = (family: Family, linesFor: (table: Table) => string[]): void =>
  updateTable(family, 'filter', linesFor);

/** CHECK: all rules of an admission are there. */
export function* checkRules(config: FirewallConfig, admission: Admission): Findings {
  if (!needsIptables(admission)) return;
  for (const family of FAMILIES) {
    const pods = ofFamily(admission.addresses, family);
    if (pods.length === 0) continue;
    const table = readTable(family, 'filter');
    const missing = [
      ...(admission.backend === 'iptables'
        ? missingAdmission(table, pods, config.iptablesAdminChainName)
        : []),
      ...(admission.isolation === undefined ? [] : missingIsolation(table, admission.isolation)),
    ];
    const [first] = missing;
    if (first === undefined) continue;
    yield broken(
      `expected rule [${first}] not found`,
      `missing in table filter of IPv${family}: ${missing.join('; ')}`,
    );
  }
}
