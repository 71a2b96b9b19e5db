/** flannel: turns the subnet.env of the node's flannel daemon into a configuration for a delegate, by default bridge.
 *  CNI SPEC §4 (delegation); example: conf/10-flannel.conflist. */
import { cleanUp, CniError, toCniError } from '#lib/cni/error.ts';
import { attempt, broken, type Findings, unavailable } from '#lib/cni/finding.ts';
import { delegateAdd, delegateCommand, PluginNotFound, requirePlugin } from '#lib/cni/delegate.ts';
import type { SubnetEnv } from '#lib/flannel/subnet-env.ts';
import { type AttachmentCall, type Call, definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { requireIpv6Mtu } from '#lib/container-link/ipv6.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { delegateType, FlannelConfig, FlannelTeardown } from './config.ts';
import { checkGateway } from './connectivity.ts';
import { refuseContradiction } from './contradiction.ts';
import {
  delegateConfig,
  encodeConfig,
  type Json,
  rebuiltConfig,
  withRuntimeKeys,
} from './delegate-config.ts';
import { deleteConfig, gcConfigs, loadConfig, saveConfig } from './saved-config.ts';
import { awaitSubnetEnv, loadSubnetEnv, loadSubnetEnvIfAny } from './subnet-file.ts';

type FlannelCall = AttachmentCall<FlannelConfig>;

export const flannel = definePlugin({
  name: 'flannel',
  versions: SPEC_VERSIONS,
  config: FlannelConfig,
  teardown: FlannelTeardown,

  add(call) {
    const { config, attachment } = call;
    const env = awaitSubnetEnv(config.subnetFile);
    refuseContradiction(config, env);
    if (!('mtu' in config.delegate)) {
      requireIpv6Mtu(env.subnets, env.mtuBytes, `FLANNEL_MTU in "${config.subnetFile}"`);
    }
    const delegate = delegateConfig(call, env);
    using undo = new DisposableStack();
    // Before the delegate runs: if this process dies, DEL knows which delegate to call.
    saveConfig(config.dataDir, attachment, delegate, undo);
    const result = delegateAdd(call, delegateType(config), Buffer.from(encodeConfig(delegate)));
    undo.move();
    return result;
  },

  *check(call) {
    const { dataDir } = call.config;
    const saved = loadConfig(dataDir, call.attachment);
    if (saved === undefined) {
      const { containerID } = call.attachment;
      yield broken(`No saved delegate config of container "${containerID}" in "${dataDir}"`);
      return;
    }
    yield* attempt(() => run(call, saved, 'CHECK'));
  },

  del(call) {
    const { config, attachment } = call;
    const saved = loadConfig(config.dataDir, attachment);
    if (saved === undefined) deleteWithoutSaved(call);
    else run(call, saved, 'DEL');
    // Only after the delegate: if it failed, the runtime's next DEL needs the configuration.
    deleteConfig(config.dataDir, attachment);
  },

  gc(call) {
    const { config } = call;
    cleanUp(
      () => run(call, rebuiltConfig(call, loadSubnetEnvIfAny(config.subnetFile)), 'GC'),
      () => gcConfigs(config.dataDir, call),
    );
  },

  *status(call) {
    const { config } = call;
    const env = loadOrFault(config.subnetFile);
    if (env instanceof CniError) {
      yield unavailable(env.message, env.details);
      return;
    }
    yield* unavailably(() => refuseContradiction(config, env));
    yield* unavailably(() => requirePlugin(call, delegateType(config)));
    const delegate = delegateConfig(call, env);
    yield* attempt(() => run(call, delegate, 'STATUS'));
    yield* checkGateway(config, delegate, env);
  },
});

function run(
  call: Call<FlannelConfig>,
  delegate: Json,
  command: 'CHECK' | 'DEL' | 'GC' | 'STATUS',
): void {
  const input = Buffer.from(encodeConfig(withRuntimeKeys(delegate, call)));
  delegateCommand(
    { ...call, input },
    typeof delegate['type'] === 'string' ? delegate['type'] : delegateType(call.config),
    command,
  );
}

/**
 * The saved configuration is lost, or this DEL is not the first: the delegate is called all the
 * same.
 */
function deleteWithoutSaved(call: FlannelCall): void {
  const rebuilt = rebuiltConfig(call, loadSubnetEnvIfAny(call.config.subnetFile));
  // There may never have been an ADD: a delegate that is not installed made nothing.
  recover(() => run(call, rebuilt, 'DEL'), instanceOf(PluginNotFound));
}

function loadOrFault(subnetFile: string): SubnetEnv | CniError {
  try {
    return loadSubnetEnv(subnetFile);
  } catch (error) {
    return toCniError(error);
  }
}

/** Findings with STATUS's code for failures of the next ADD. */
function* unavailably(check: () => void): Findings {
  for (const { message, advice } of attempt(check)) yield unavailable(message, advice);
}
