/** flannel: turns the subnet.env of the node's flannel daemon into a configuration for a delegate, by default bridge.
 *  CNI SPEC §4 (delegation); example: conf/10-flannel.conflist. */
import { cleanUp, CniError, CODE, toCniError } from '#lib/cni/error.ts';
import { delegateAdd, delegateCommand, PluginNotFound, requirePlugin } from '#lib/cni/delegate.ts';
import { type AttachmentCall, type Call, definePlugin } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { delegateType, FlannelConfig } from './config.ts';
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
import { awaitSubnetEnv, loadSubnetEnv, loadSubnetEnvIfAny } from './subnet-env.ts';

type FlannelCall = AttachmentCall<FlannelConfig>;

export const flannel = definePlugin({
  name: 'flannel',
  versions: SPEC_VERSIONS,
  config: FlannelConfig,

  add(call) {
    const { config, attachment } = call;
    const env = awaitSubnetEnv(config.subnetFile);
    refuseContradiction(config, env);
    const delegate = delegateConfig(call, env);
    using undo = new DisposableStack();
    // Before the delegate is run: whatever becomes of this process, DEL knows whom to ask.
    saveConfig(config.dataDir, attachment, delegate, undo);
    const result = delegateAdd(call, delegateType(config), Buffer.from(encodeConfig(delegate)));
    undo.move();
    return result;
  },

  check(call) {
    const saved = loadConfig(call.config.dataDir, call.attachment);
    if (saved === undefined) {
      const where = `in "${call.config.dataDir}"`;
      throw new CniError(
        CODE.INTERNAL,
        `No saved delegate config of container "${call.attachment.containerID}" ${where}`,
      );
    }
    run(call, saved, 'CHECK');
  },

  del(call) {
    const { config, attachment } = call;
    const saved = loadConfig(config.dataDir, attachment);
    if (saved === undefined) deleteWithoutSaved(call);
    else run(call, saved, 'DEL');
    // Only now: if the delegate failed, the runtime's next DEL needs it.
    deleteConfig(config.dataDir, attachment);
  },

  gc(call) {
    const { config } = call;
    cleanUp(
      () => run(call, rebuiltConfig(call, loadSubnetEnvIfAny(config.subnetFile)), 'GC'),
      () => gcConfigs(config.dataDir, call),
    );
  },

  status(call) {
    const { config } = call;
    const env = unavailable(() => {
      const loaded = loadSubnetEnv(config.subnetFile);
      refuseContradiction(config, loaded);
      requirePlugin(call, delegateType(config));
      return loaded;
    });
    const delegate = delegateConfig(call, env);
    run(call, delegate, 'STATUS');
    checkGateway(config, delegate, env);
  },
});

function run(
  call: Call<FlannelConfig>,
  delegate: Json,
  command: 'CHECK' | 'DEL' | 'GC' | 'STATUS',
): void {
  const input = Buffer.from(encodeConfig(withRuntimeKeys(delegate, call.json)));
  delegateCommand(
    { ...call, input },
    typeof delegate['type'] === 'string' ? delegate['type'] : delegateType(call.config),
    command,
  );
}

/** What ADD saved is lost, or this DEL is not the first: the delegate is asked all the same. */
function deleteWithoutSaved(call: FlannelCall): void {
  try {
    run(call, rebuiltConfig(call, loadSubnetEnvIfAny(call.config.subnetFile)), 'DEL');
  } catch (error) {
    // Nothing says that there was ever an ADD: a delegate that is not installed made nothing.
    if (!(error instanceof PluginNotFound)) throw error;
  }
}

/** STATUS has a code for: ADD would fail now. */
function unavailable<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    const { message, details } = toCniError(error);
    throw new CniError(CODE.PLUGIN_NOT_AVAILABLE, message, details, { cause: error });
  }
}
