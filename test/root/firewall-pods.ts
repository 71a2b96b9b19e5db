/** Pods on bridges for tests of firewall, and what the host's filter tables have. */
import type { ExecutionContext } from 'ava';
import { bridgeConfig, ipam } from '#test/configs.ts';
import type { TestNode } from '#test/node.ts';
import type { Pod } from './pods.ts';

const SUBNETS: Readonly<Record<string, readonly string[]>> = {
  br0: ['10.1.0.0/24', 'fd00:1::/64'],
  br1: ['10.2.0.0/24', 'fd00:2::/64'],
};

/** A call of firewall for a new pod on a bridge, of both families: the first on br0 gets 10.1.0.2 and fd00:1::2. */
export async function addFirewallPod(
  t: ExecutionContext,
  node: TestNode,
  containerID: string,
  keys: Readonly<Record<string, unknown>> = {},
  bridge = 'br0',
): Promise<Pod> {
  const netns = await node.addPod(containerID);
  const { cniVersion = '1.0.0', subnets = SUBNETS[bridge] ?? [], ...more } = keys;
  const name = `net-${bridge}`;
  const made = await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config: bridgeConfig(node, { cniVersion, name, bridge, ipam: ipam(node, subnets as string[]) }),
    netns,
    containerID,
  });
  const config = {
    cniVersion,
    name,
    type: 'firewall',
    dataDir: node.path('firewall'),
    ...more,
    prevResult: made.json as unknown,
  };
  return { netns, config, call: { plugin: 'firewall', config, netns, containerID } };
}

/** Chains and rules of both families' filter tables, without counters and the time. */
export async function filterRules(node: TestNode): Promise<string[]> {
  const texts = [];
  for (const program of ['iptables-save', 'ip6tables-save']) {
    texts.push(await node.run(program, ['-t', 'filter']));
  }
  return texts
    .join('\n')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.replace(/ \[\d+:\d+\]/, ''));
}
