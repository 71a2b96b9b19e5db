/** GC of every plugin with state: what goes and what stays, with a list of what is valid and without. */
import test, { type ExecutionContext } from 'ava';
import { bridgeConfig, chainedConfig, ipam, ptpConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

/** What a runtime calls GC with beside the network; `undefined`: nothing. */
type List = readonly { containerID: string; ifname: string }[] | null | undefined;

/** A plugin whose state is looked at. Pods of network net2 have other addresses than those of net1. */
interface Subject {
  readonly plugin: string;
  readonly config: (node: TestNode, network: string) => object;
  /** The same for a pod's ADD, if it wants more. */
  readonly addConfig?: (config: object, pod: { netns: string; id: string }) => object;
  /** Before ADD. */
  readonly prepare?: (
    t: ExecutionContext,
    node: TestNode,
    pod: { netns: string; id: string },
  ) => Promise<unknown>;
  /** A text in which each pod with state stands behind `mark`. */
  readonly state: (node: TestNode) => Promise<string>;
  readonly mark: RegExp;
  /** Nothing tells of this state when a container is gone. */
  readonly isWithoutEvidence?: true;
}

const VERSION = { cniVersion: '1.1.0' };

const place = (node: TestNode, network: string) => {
  const number = network === 'net1' ? 1 : 2;
  const subnets = [`10.${number}.0.0/24`, `fd00:${number}::/64`];
  return { ...VERSION, name: network, ipam: ipam(node, subnets) };
};

const bridgeWith =
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
function afterInterface(config: object, { netns, id }: { netns: string; id: string }): object {
  const number = id.charCodeAt(0);
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', sandbox: netns }],
    ips: [{ address: `10.1.0.${number}/24`, interface: 0 }],
  };
  const portMappings = [{ hostPort: 8000 + number, containerPort: 80, protocol: 'tcp' }];
  return { ...config, prevResult, runtimeConfig: { portMappings } };
}

const rules = (node: TestNode) => node.rules();
const natRules = (node: TestNode) => node.run('iptables-save', ['-t', 'nat']);

const SUBJECTS: Readonly<Record<string, Subject>> = {
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
    isWithoutEvidence: true,
  },
  'ptp, masquerading': {
    plugin: 'ptp',
    config: (node, network) => ptpConfig(node, place(node, network)),
    state: rules,
    mark: /id: (\w),/g,
  },
  'portmap by nftables': {
    plugin: 'portmap',
    config: chained('portmap'),
    addConfig: afterInterface,
    state: rules,
    mark: /id: (\w),/g,
  },
  'portmap by iptables': {
    plugin: 'portmap',
    config: chained('portmap', () => ({ backend: 'iptables' })),
    addConfig: afterInterface,
    state: natRules,
    mark: / id: \\"(\w)\\"/g,
    isWithoutEvidence: true,
  },
};

const PODS = [
  ['a', 'net1'],
  ['b', 'net1'],
  ['c', 'net2'],
  ['d', 'net1'],
] as const;

async function addPod(
  t: ExecutionContext,
  node: TestNode,
  subject: Subject,
  [id, network]: readonly [string, string],
): Promise<void> {
  const pod = { id, netns: await node.addPod(id) };
  await subject.prepare?.(t, node, pod);
  const config = subject.config(node, network);
  await node.succeed(t, 'ADD', {
    plugin: subject.plugin,
    config: subject.addConfig?.(config, pod) ?? config,
    netns: pod.netns,
    containerID: id,
  });
}

/** The pods that there is state of, in order. */
async function holders(node: TestNode, { state, mark }: Subject): Promise<string> {
  const ids = [...(await state(node)).matchAll(mark)].map(([, id = '']) => id);
  return [...new Set(ids)].toSorted().join(' ');
}

/** GC of net1 as a runtime calls it. */
function gc(t: ExecutionContext, node: TestNode, { plugin, config }: Subject, list: List) {
  const lists = list === undefined ? {} : { 'cni.dev/valid-attachments': list };
  const own = { ...config(node, 'net1'), ...lists };
  return node.succeed(t, 'GC', { plugin, config: own, containerID: '', ifName: '' });
}

for (const [what, subject] of Object.entries(SUBJECTS)) {
  test(`GC of ${what}: what is not valid goes, without a list what is provably dead; other networks stay`, async (t) => {
    await using node = await TestNode.create();
    for (const pod of PODS) await addPod(t, node, subject, pod);
    await gc(t, node, subject, undefined);
    t.is(await holders(node, subject), 'a b c d', 'all live');
    await node.deletePod('a');
    await node.deletePod('c');
    // The path is there again, with another namespace.
    await node.addPod('a');
    await gc(t, node, subject, undefined);
    t.is(await holders(node, subject), subject.isWithoutEvidence ? 'a b c d' : 'b c d', 'no list');
    await gc(t, node, subject, [{ containerID: 'b', ifname: 'eth0' }]);
    t.is(await holders(node, subject), 'b c', 'a list');
    await gc(t, node, subject, null);
    t.is(await holders(node, subject), 'c', 'null');
    await addPod(t, node, subject, ['e', 'net1']);
    await gc(t, node, subject, []);
    t.is(await holders(node, subject), 'c', 'an empty list');
  });
}
