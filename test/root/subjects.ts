/** Plugins with state, and which pods there is state of: for tests of what GC takes and what it leaves. */
import type { ExecutionContext } from 'ava';
import { bridgeConfig, chainedConfig, flannelConfig, ipam, ptpConfig } from '#test/configs.ts';
import type { TestNode } from '#test/node.ts';

/** What a runtime calls GC with beside the network; `undefined`: nothing. */
type List = readonly { containerID: string; ifname: string }[] | null | undefined;

interface Pod {
  readonly id: string;
  readonly netns: string;
}

/** A plugin whose state is looked at. Pods of network net2 have other addresses than those of net1. */
export interface Subject {
  readonly plugin: string;
  readonly config: (node: TestNode, network: string) => object;
  /** Makes what a chained plugin goes on from. @returns the configuration for ADD */
  readonly prepare?: (node: TestNode, config: object, pod: Pod) => object | Promise<object>;
  /** A text in which each pod with state stands behind `mark`. */
  readonly state: (node: TestNode) => Promise<string>;
  readonly mark: RegExp;
}

const VERSION = { cniVersion: '1.1.0' };

/** The keys of a network: net1 or net2. */
export const place = (node: TestNode, network: string) => {
  const number = network === 'net1' ? 1 : 2;
  const subnets = [`10.${number}.0.0/24`, `fd00:${number}::/64`];
  return { ...VERSION, name: network, ipam: ipam(node, subnets) };
};

/** bridge with further keys, on a bridge of the network's. */
export const bridgeWith =
  (more: object = {}) =>
  (node: TestNode, network: string) =>
    bridgeConfig(node, { ...place(node, network), bridge: `br-${network}`, ...more });

/** A chained plugin after one that made an interface for a pod. */
const chained =
  (type: string, more: (node: TestNode) => object = () => ({})) =>
  (node: TestNode, network: string) => {
    const { prevResult: _, ...bare } = chainedConfig(type, { ...VERSION, name: network });
    return { ...bare, ...more(node) };
  };

/** The result that it goes on from; every pod has an address and a port of its own. */
function afterInterface(_: TestNode, config: object, { netns, id }: Pod): object {
  const number = id.charCodeAt(0);
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', sandbox: netns }],
    ips: [{ address: `10.1.0.${number}/24`, interface: 0 }],
  };
  const portMappings = [{ hostPort: 8000 + number, containerPort: 80, protocol: 'tcp' }];
  return { ...config, prevResult, runtimeConfig: { portMappings } };
}

/** The same, of a veth pair with the host. */
async function afterVeth(node: TestNode, config: object, pod: Pod): Promise<object> {
  const made = await node.call('ADD', {
    plugin: 'bridge',
    config: bridgeConfig(node, { ...VERSION, ipam: undefined, isDefaultGateway: false }),
    netns: pod.netns,
    containerID: pod.id,
  });
  const { prevResult } = afterInterface(node, config, pod) as { prevResult: object };
  return { ...config, prevResult: { ...prevResult, interfaces: made.json.interfaces } };
}

/** All of nf_tables. */
const rules = (node: TestNode) => node.rules();
const files = (folder: string) => (node: TestNode) =>
  Promise.resolve(node.files(folder).join('\n'));
const natRules = (node: TestNode) => node.run('iptables-save', ['-t', 'nat']);

/** One for each kind of state. */
export const SUBJECTS = {
  'bridge, masquerading by nftables': {
    plugin: 'bridge',
    config: bridgeWith({ ipMasq: true }),
    state: rules,
    mark: /id: (\w),/g,
  },
  'bridge, masquerading by iptables': {
    plugin: 'bridge',
    config: bridgeWith({ ipMasq: true, ipMasqBackend: 'iptables' }),
    state: natRules,
    mark: / id: \\"(\w)\\"/g,
  },
  'ptp, masquerading': {
    plugin: 'ptp',
    config: (node, network) => ptpConfig(node, place(node, network)),
    state: rules,
    mark: /id: (\w),/g,
  },
  'bridge, spoof check': {
    plugin: 'bridge',
    config: bridgeWith({ macspoofchk: true }),
    state: rules,
    mark: /chain cni-br-iface-(\w)-eth0/g,
  },
  flannel: {
    plugin: 'flannel',
    config: (node, network) => {
      const number = network === 'net1' ? 1 : 2;
      const subnet = `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.${number}.1/24\n`;
      node.writeFile(`${network}.env`, `${subnet}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`);
      const delegate = { bridge: `br-${network}` };
      const subnetFile = node.path(`${network}.env`);
      return { ...flannelConfig(node, '1.1.0'), name: network, delegate, subnetFile };
    },
    state: files('flannel'),
    mark: /^(\w)(?::eth0)?$/gm,
  },
  bandwidth: {
    plugin: 'bandwidth',
    config: chained('bandwidth', () => ({ egressRate: 8_000_000, egressBurst: 800_000 })),
    prepare: afterVeth,
    state: (node) => node.run('ip', ['link', 'show', 'type', 'ifb']),
    mark: /id: (\w),/g,
  },
  firewall: {
    plugin: 'firewall',
    config: chained('firewall', (node) => ({
      backend: 'iptables',
      dataDir: node.path('firewall'),
    })),
    prepare: afterInterface,
    state: async (node) => {
      const table = await node.run('iptables-save', ['-t', 'filter']);
      const admitted = [...table.matchAll(/-s 10\.1\.0\.(\d+)/g)].map(([, number]) =>
        Number(number),
      );
      return [...node.files('firewall'), ...admitted.map((n) => `${String.fromCharCode(n)}:`)].join(
        '\n',
      );
    },
    mark: /^(\w):/gm,
  },
  tuning: {
    plugin: 'tuning',
    config: chained('tuning', (node) => ({ mtu: 1400, dataDir: node.path('tuning') })),
    prepare: afterVeth,
    state: files('tuning'),
    mark: /^(\w)_eth0/gm,
  },
  'portmap by nftables': {
    plugin: 'portmap',
    config: chained('portmap'),
    prepare: afterInterface,
    state: rules,
    mark: /id: (\w),/g,
  },
  'portmap by iptables': {
    plugin: 'portmap',
    config: chained('portmap', () => ({ backend: 'iptables' })),
    prepare: afterInterface,
    state: natRules,
    mark: / id: \\"(\w)\\"/g,
  },
} satisfies Readonly<Record<string, Subject>>;

/** Three of net1, one of net2. */
export const PODS = [
  ['a', 'net1'],
  ['b', 'net1'],
  ['c', 'net2'],
  ['d', 'net1'],
] as const;

/** Makes a pod and adds it to its network. */
export async function addPod(
  t: ExecutionContext,
  node: TestNode,
  subject: Subject,
  [id, network]: readonly [string, string],
): Promise<void> {
  const pod = { id, netns: await node.addPod(id) };
  const config = subject.config(node, network);
  await node.succeed(t, 'ADD', {
    plugin: subject.plugin,
    config: (await subject.prepare?.(node, config, pod)) ?? config,
    netns: pod.netns,
    containerID: id,
  });
}

/** The pods that there is state of, in order. */
export async function owners(node: TestNode, { state, mark }: Subject): Promise<string> {
  const ids = [...(await state(node)).matchAll(mark)].map(([, id = '']) => id);
  return [...new Set(ids)].toSorted().join(' ');
}

/** GC of net1 as a runtime calls it. */
export function gc(t: ExecutionContext, node: TestNode, { plugin, config }: Subject, list: List) {
  const lists = list === undefined ? {} : { 'cni.dev/valid-attachments': list };
  const own = { ...config(node, 'net1'), ...lists };
  return node.succeed(t, 'GC', { plugin, config: own, containerID: '', ifName: '' });
}
