/** GC of every plugin with state: what goes and what stays, with a list of what is valid and without. */
import test, { type ExecutionContext } from 'ava';
import { bridgeConfig, chainedConfig, flannelConfig, ipam, ptpConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

/** What a runtime calls GC with beside the network; `undefined`: nothing. */
type List = readonly { containerID: string; ifname: string }[] | null | undefined;

interface Pod {
  readonly id: string;
  readonly netns: string;
}

/** A plugin whose state is looked at. Pods of network net2 have other addresses than those of net1. */
interface Subject {
  readonly plugin: string;
  readonly config: (node: TestNode, network: string) => object;
  /** Makes what a chained plugin goes on from. @returns the configuration for ADD */
  readonly prepare?: (node: TestNode, config: object, pod: Pod) => object | Promise<object>;
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

const rules = (node: TestNode) => node.rules();
const files = (folder: string) => (node: TestNode) =>
  Promise.resolve(node.files(folder).join('\n'));
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
  const config = subject.config(node, network);
  await node.succeed(t, 'ADD', {
    plugin: subject.plugin,
    config: (await subject.prepare?.(node, config, pod)) ?? config,
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

const aliases = async (node: TestNode, kind: string): Promise<string> =>
  ((await node.ip(`link show type ${kind}`)) as { ifalias?: string }[])
    .map(({ ifalias }) => /id: (\w)/.exec(ifalias ?? '')?.[1] ?? '')
    .toSorted()
    .join(' ');

for (const plugin of ['bridge', 'ptp']) {
  const subject = {
    plugin,
    config: (node: TestNode, network: string) => {
      const own = place(node, network);
      return plugin === 'ptp' ? ptpConfig(node, own) : bridgeWith()(node, network);
    },
    state: (node: TestNode) => node.run('ip', ['link', 'show', 'type', 'veth']),
    mark: /id: (\w),/g,
  };

  test(`GC of ${plugin} deletes the interfaces of attachments that are not valid, or whose namespace lives on without its path`, async (t) => {
    await using node = await TestNode.create();
    for (const pod of PODS) await addPod(t, node, subject, pod);
    await gc(t, node, subject, undefined);
    t.is(await holders(node, subject), 'a b c d');
    const program = `ip netns exec ${node.name}-a sleep 30 & echo $!`;
    const sleeper = await node.run('sh', ['-c', `${program.replace('& ', '> /dev/null 2>&1 & ')}`]);
    await node.run('sh', [
      '-c',
      `until nsenter -t ${sleeper} -n ip link show eth0 2>&1 | grep -q eth0; do sleep 0.05; done`,
    ]);
    await node.deletePod('a');
    t.is(await holders(node, subject), 'a b c d', 'it lives on');
    await gc(t, node, subject, undefined);
    t.is(await holders(node, subject), 'b c d');
    await node.run('kill', [sleeper]);
    await gc(t, node, subject, [{ containerID: 'b', ifname: 'eth0' }]);
    t.is(await holders(node, subject), 'b c');
  });
}

test('an ifb that a killed ADD had not marked yet goes with its network, and no other', async (t) => {
  await using node = await TestNode.create();
  const subject = SUBJECTS['bandwidth'];
  if (subject === undefined) return t.fail();
  for (const pod of PODS) await addPod(t, node, subject, pod);
  const links = (await node.ip('link show type ifb')) as { ifname: string }[];
  for (const { ifname } of links) await node.run('ip', ['link', 'set', ifname, 'alias', '']);
  await node.run('ip', ['link', 'add', 'bwp0123456789ab', 'type', 'ifb']);
  await gc(t, node, subject, undefined);
  t.is((await node.ip('link show type ifb')).length, 5, 'an ADD may be about to mark them');
  await gc(t, node, subject, [{ containerID: 'b', ifname: 'eth0' }]);
  t.is((await node.ip('link show type ifb')).length, 3);
  t.is(await aliases(node, 'ifb'), '  ');
});

test('flannel passes GC on without subnet.env too', async (t) => {
  await using node = await TestNode.create();
  const subject = SUBJECTS['flannel'];
  if (subject === undefined) return t.fail();
  for (const pod of PODS) await addPod(t, node, subject, pod);
  const config = subject.config(node, 'net1');
  await node.run('rm', [node.path('net1.env')]);
  await gc(t, node, { ...subject, config: () => config }, [{ containerID: 'b', ifname: 'eth0' }]);
  const reserved = node.files('networks').filter((name) => /\/10\./.test(name));
  t.deepEqual(reserved, ['net1/10.244.1.3', 'net2/10.244.2.2']);
});

test('GC goes on after a step that fails, and says what failed', async (t) => {
  await using node = await TestNode.create();
  const config = (node: TestNode, network: string) => ({
    ...bridgeWith({ ipMasq: true })(node, network),
    ipam: { type: 'broken' },
  });
  const subject = {
    plugin: 'bridge',
    config: bridgeWith({ ipMasq: true }),
    state: rules,
    mark: /id: (\w),/g,
  };
  for (const pod of PODS) await addPod(t, node, subject, pod);
  const path = node.writeFile('empty/broken', '#!/bin/sh\necho broken >&2; exit 1\n');
  await node.run('chmod', ['+x', path]);
  const answer = await node.call('GC', {
    plugin: 'bridge',
    config: { ...config(node, 'net1'), 'cni.dev/valid-attachments': [] },
    path: node.path('empty'),
  });
  t.regex(answer.json.msg, /netplugin failed: "broken"/);
  t.is(await holders(node, subject), 'c');
  const firewall = SUBJECTS['firewall'];
  if (firewall === undefined) return t.fail();
  for (const pod of ['x', 'y']) await addPod(t, node, firewall, [pod, 'net1']);
  await node.run('mkdir', [node.path('programs')]);
  await node.run('ln', ['-s', '/bin/false', node.path('programs', 'iptables-restore')]);
  const refused = await node.call('GC', {
    plugin: 'firewall',
    config: { ...firewall.config(node, 'net1'), 'cni.dev/valid-attachments': [] },
    env: { PATH: `${node.path('programs')}:${process.env['PATH']}` },
  });
  t.regex(refused.json.msg, /iptables-restore failed/);
  t.is(await holders(node, firewall), 'x y', 'for the next GC');
  await gc(t, node, firewall, []);
  t.is(await holders(node, firewall), '');
});
