/**
 * firewall: lets a pod's traffic through the host's firewall, and keeps other pods away if asked
 * to. Chained. CNI SPEC §2; example: conf/50-isolated.conflist.
 */
import { distinct } from '#lib/addr/distinct.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { CniError, CODE, everyStep } from '#lib/cni/error.ts';
import { lastingEvidenceOf } from '#lib/ownership/evidence.ts';
import { broken, type Finding, type Findings, unavailable } from '#lib/cni/finding.ts';
import { type AttachmentCall, definePlugin } from '#lib/cni/plugin.ts';
import { requirePrevResult } from '#lib/cni/prev-result.ts';
import type { Result } from '#lib/cni/result.ts';
import { isAtLeast, SPEC_VERSIONS } from '#lib/cni/version.ts';
import { hasIptables } from '#lib/netfilter/iptables.ts';
import { log } from '#lib/sys/process.ts';
import { readSysctl } from '#lib/sys/sysctl.ts';
import { type Backend, FirewallConfig, FirewallTeardown, type Admission } from './config.ts';
import * as firewalld from './firewalld.ts';
import { admit, checkRules, dismiss } from './iptables.ts';
import type { Isolation } from './isolation.ts';
import {
  deleteAdmission,
  collectStale,
  listOthers,
  loadAdmission,
  saveAdmission,
  takeAddresses,
} from './store.ts';

const NO_PREV_RESULT = 'missing prevResult from earlier plugin';

/**
 * A bridge's name as a rule takes it: with "+" at the end it would mean all bridges whose names
 * begin so.
 */
const BRIDGE_NAME = /^[^\s"'\\/!-][^\s"'\\/]{0,14}(?<!\+)$/;

export const firewall = definePlugin({
  name: 'firewall',
  versions: SPEC_VERSIONS.filter((version) => isAtLeast(version, '0.4.0')),
  config: FirewallConfig,
  teardown: FirewallTeardown,

  add(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call, NO_PREV_RESULT);
    const { dataDir } = config;
    const wanted = admissionOf(config, attachment, prevResult, chooseBackend(config));
    const former = loadAdmission(dataDir, attachment);
    if (former !== undefined) release(config, [former]);
    using undo = new DisposableStack();
    undo.defer(() => release(config, [wanted]));
    takeAddresses(dataDir, wanted);
    saveAdmission(dataDir, wanted);
    if (wanted.backend === 'firewalld') firewalld.addSources(wanted.zone, wanted.addresses);
    admit(config, wanted);
    if (wanted.isolation?.policy === 'isolated') warnOfBridge();
    undo.move();
    return prevResult;
  },

  *check(call) {
    const { attachment, config } = call;
    const prevResult = requirePrevResult(call, NO_PREV_RESULT);
    const backend = loadAdmission(config.dataDir, attachment)?.backend ?? chooseBackend(config);
    const wanted = admissionOf(config, attachment, prevResult, backend);
    if (backend === 'firewalld') yield* checkSources(wanted);
    yield* checkRules(config, wanted);
  },

  del(call) {
    const { config, attachment } = call;
    const known = loadAdmission(config.dataDir, attachment);
    release(config, known === undefined ? admissionsTold(call) : [known]);
    // A corrupt file is deleted too.
    deleteAdmission(config.dataDir, attachment);
  },

  gc(call) {
    const { config } = call;
    everyStep((run) => {
      const stale = collectStale(config.dataDir, call, run);
      const ofBackend = (wanted: Backend) => stale.filter(({ backend }) => backend === wanted);
      run(() => release(config, ofBackend('iptables')));
      // If firewalld refuses one of them, the others are released all the same.
      for (const admission of ofBackend('firewalld')) run(() => release(config, [admission]));
    });
  },

  *status({ config: { backend, ingressPolicy } }) {
    const runs = backend !== 'iptables' && firewalld.seesFirewalld();
    if (backend === 'firewalld' && !runs) yield closed('firewalld does not run');
    const needsIptables = !runs || ingressPolicy !== undefined;
    if (needsIptables && !hasIptables()) yield closed('this host has no iptables');
  },
});

const closed = (why: string): Finding => unavailable(`Cannot open the firewall for pods: ${why}`);

/**
 * The backend that the network names, else firewalld if it runs. @throws CniError if the named one
 * does not run
 */
function chooseBackend({ backend }: FirewallConfig): Backend {
  if (backend === undefined) return firewalld.seesFirewalld() ? 'firewalld' : 'iptables';
  if (backend === 'firewalld' && !firewalld.isFirewalldRunning()) {
    const details = 'start it, or leave out "backend": then iptables does the work';
    throw new CniError(CODE.IO_FAILURE, 'firewalld does not run', details);
  }
  return backend;
}

function admissionOf(
  config: FirewallConfig,
  { network, containerID, ifName, netns }: Attachment,
  prevResult: Result,
  backend: Backend,
): Admission {
  return {
    network,
    containerID,
    ifName,
    backend,
    zone: config.firewalldZone,
    addresses: addressesOf(prevResult),
    isolation: isolationOf(config, prevResult),
    evidence: lastingEvidenceOf(netns),
  };
}

/** Each address once, without its subnet. */
const addressesOf = ({ ips }: Result): Prefix[] =>
  distinct(ips.map(({ address }) => Prefix.host(address.address)));

/**
 * The pod's bridge and its policy; undefined without a policy. @throws CniError if prevResult does
 * not tell the bridge
 */
function isolationOf({ ingressPolicy }: FirewallConfig, prevResult: Result): Isolation | undefined {
  if (ingressPolicy === undefined) return undefined;
  const [first] = prevResult.interfaces;
  if (first === undefined) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      `interface needs to be set for ingress policy "${ingressPolicy}", make sure to chain "firewall" plugin with "bridge"`,
      'prevResult has no interfaces; the first one must be the bridge',
    );
  }
  if (!BRIDGE_NAME.test(first.name)) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      `the first interface of prevResult, "${first.name}", can't be the bridge of ingress policy "${ingressPolicy}"`,
    );
  }
  return { bridge: first.name, policy: ingressPolicy };
}

/**
 * The admissions that the reference plugin may have made for the attachment, in either backend, as
 * far as prevResult tells.
 */
function admissionsTold({
  attachment,
  prevResult,
  config: { keys: config },
}: AttachmentCall<FirewallTeardown>): Admission[] {
  if (prevResult === undefined || config === undefined) return [];
  const { ingressPolicy } = config;
  const [first] = prevResult.interfaces;
  // DEL needs no evidence, and must not depend on the namespace.
  const owner = { ...attachment, netns: undefined };
  const told = {
    ...admissionOf({ ...config, ingressPolicy: undefined }, owner, prevResult, 'iptables'),
    isolation: ingressPolicy && first && { bridge: first.name, policy: ingressPolicy },
  };
  if (told.addresses.length === 0) return [];
  return firewalld.seesFirewalld() ? [told, { ...told, backend: 'firewalld' }] : [told];
}

/** Ends admissions; their files go when everything else is gone. */
function release(
  { dataDir }: Pick<FirewallTeardown, 'dataDir'>,
  leaving: readonly Admission[],
): void {
  if (leaving.length === 0) return;
  removeSources(dataDir, leaving);
  dismiss(dataDir, leaving);
}

/** Removes the sources of admissions, if firewalld runs: it forgets them when it ends. */
function removeSources(dataDir: string, leaving: readonly Admission[]): void {
  const sources = leaving.filter(({ backend }) => backend === 'firewalld');
  if (sources.length === 0 || !firewalld.isFirewalldRunning()) return;
  const staying = listOthers(dataDir, sources);
  for (const { zone, addresses } of sources) {
    // An address may belong to another pod by now.
    const own = addresses.filter(
      (address) => !staying.some((other) => other.addresses.some((its) => its.equals(address))),
    );
    firewalld.removeSources(zone, own);
  }
}

function* checkSources({ zone, addresses }: Admission): Findings {
  const missing = firewalld.missingSources(zone, addresses);
  if (missing.length === 0) return;
  yield broken(
    `${missing.join(', ')} is no source of firewalld's zone "${zone}"`,
    'firewalld forgets pods when it is reloaded or started anew',
  );
}

/**
 * Warns if iptables does not see frames between ports of one bridge: then "isolated" is no more
 * than "same-bridge".
 */
function warnOfBridge(): void {
  if (readSysctl('net/bridge/bridge-nf-call-iptables') === '1') return;
  log(
    'firewall: net.bridge.bridge-nf-call-iptables is not 1: pods of one bridge reach each other in spite of "isolated"',
  );
}
