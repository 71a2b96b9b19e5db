/** Pods on a bridge for tests of chained plugins: the bridge's result is their prevResult. */
import type { ExecutionContext } from 'ava';
import { bridgeConfig, ipam } from '#test/configs.ts';
import type { CallOptions, TestNode } from '#test/node.ts';

/** A pod with an interface, and a call of a chained plugin for it that is made, not run. */
export interface Pod {
  readonly netns: string;
  /** The plugin's configuration with its prevResult. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly call: CallOptions & { readonly config: object };
}

const SUBNETS = ['10.1.0.0/24', 'fd00:1::/64'];

/** Makes a pod of both families: the first gets 10.1.0.2 and fd00:1::2. `keys` are those of the chained plugin. */
export async function addBridgePod(
  t: ExecutionContext,
  node: TestNode,
  containerID: string,
  keys: Readonly<Record<string, unknown>> & { readonly type: string },
): Promise<Pod> {
  const cniVersion = (keys['cniVersion'] ?? '1.0.0') as string;
  const netns = await node.addPod(containerID);
  const bridge = bridgeConfig(node, { cniVersion, ipam: ipam(node, SUBNETS), hairpinMode: true });
  const { json } = await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config: bridge,
    netns,
    containerID,
  });
  const config = { cniVersion, name: 'net1', ...keys, prevResult: json };
  return { netns, config, call: { plugin: keys.type, config, netns, containerID } };
}

/** Makes a pod that a call of portmap is for. */
export const addPortmapPod = (
  t: ExecutionContext,
  node: TestNode,
  containerID: string,
  portMappings: readonly object[],
  keys: Readonly<Record<string, unknown>> = {},
): Promise<Pod> =>
  addBridgePod(t, node, containerID, { type: 'portmap', runtimeConfig: { portMappings }, ...keys });

/** What makes such pods, with these mappings if nothing else is said. */
export const portmapPods =
  (usual: readonly object[]) =>
  (
    t: ExecutionContext,
    node: TestNode,
    containerID: string,
    keys: Readonly<Record<string, unknown>> = {},
    portMappings = usual,
  ): Promise<Pod> =>
    addPortmapPod(t, node, containerID, portMappings, keys);

/** What is left of a chained plugin's configuration when a runtime has lost the rest. */
export function bareConfig({ config }: Pod): object {
  const { prevResult: _, runtimeConfig: __, ...bare } = config;
  return bare;
}
