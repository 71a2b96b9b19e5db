/** bandwidth: the queues that it makes, beside the reference plugin's, and what is left of them. */
import test, { type ExecutionContext } from 'ava';
import { REFERENCE_BIN, TestNode } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';
import { addBridgePod, bareConfig, type Pod } from './pods.ts';

const REFERENCE = `${REFERENCE_BIN}/bandwidth`;

const LIMITS = {
  ingressRate: 100_000_000,
  ingressBurst: 8_000_000,
  egressRate: 50_000_000,
  egressBurst: 4_000_000,
};

const addPod = (
  t: ExecutionContext,
  node: TestNode,
  containerID: string,
  keys: Readonly<Record<string, unknown>> = LIMITS,
): Promise<Pod> => addBridgePod(t, node, containerID, { type: 'bandwidth', ...keys });

/** Name of the host's end of a pod's interface. */
const vethOf = ({ config }: Pod): string =>
  (config['prevResult'] as { interfaces: { name: string }[] }).interfaces[1]?.name ?? '';

/** What tc shows of queues and filters, without counters, with names that tests can compare. */
async function queues(node: TestNode, pod: Pod): Promise<string> {
  const veth = vethOf(pod);
  const texts = [
    await node.run('tc', ['qdisc', 'show']),
    await node.run('tc', ['filter', 'show', 'dev', veth, 'ingress']),
  ];
  return (
    texts
      .join('\n')
      .split('\n')
      .filter(
        (line) => line.includes(veth) || line.includes('bwp') || /^filter|^\s+match/.test(line),
      )
      // The reference plugin adds an action that no packet gets to.
      .filter((line) => !line.includes('action order 2'))
      .map((line) => line.replaceAll(veth, 'VETH'))
      .filter((line, index, all) => all.indexOf(line) === index)
      .join('\n')
  );
}

test('queues and filter are those of the reference plugin', async (t) => {
  const seen: string[] = [];
  for (const plugin of ['bandwidth', REFERENCE]) {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a');
    const { json } = await node.succeed(t, 'ADD', { ...a.call, plugin });
    seen.push(await queues(node, a));
    const ifb = json.interfaces[3];
    t.deepEqual({ ...ifb, name: '', mac: '' }, { name: '', mac: '' });
    const [link] = await node.ip(`link show ${ifb.name}`);
    t.is(link.address, ifb.mac);
    t.is(link.linkinfo.info_kind, 'ifb');
    t.deepEqual([link.mtu, link.txqlen], [1500, undefined]);
    await node.succeed(t, 'CHECK', { ...a.call, plugin: 'bandwidth' });
    await node.succeed(t, 'CHECK', { ...a.call, plugin: REFERENCE });
  }
  const [own = '', reference = ''] = seen;
  t.regex(own, /qdisc tbf 1: dev VETH root .*rate 100Mbit burst 1000000b lat 25/);
  t.regex(own, /qdisc tbf 1: dev bwp\w{12} root .*rate 50Mbit/);
  t.is(own.trim(), reference.trim());
});

test('traffic of both families passes both queues', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  const { json } = await node.succeed(t, 'ADD', a.call);
  const host = node.netns;
  t.is(await sourceSeen({ from: a.netns, to: host, address: '10.1.0.1' }), '10.1.0.2');
  t.is(await sourceSeen({ from: host, to: a.netns, address: 'fd00:1::2' }), 'fd00:1::1');
  for (const name of [vethOf(a), String(json.interfaces[3].name)]) {
    const shown = await node.run('tc', ['-s', '-j', 'qdisc', 'show', 'dev', name, 'root']);
    const [queue] = JSON.parse(shown) as { kind: string; bytes: number; drops: number }[];
    t.is(queue?.kind, 'tbf');
    t.true((queue?.bytes ?? 0) > 500, shown);
  }
});

for (const [deletes, netnsGone] of [
  ['bandwidth', false],
  ['bandwidth', true],
  [REFERENCE, false],
] as const) {
  const who = deletes === REFERENCE ? "the reference plugin's DEL" : 'DEL';
  test(`${who} takes the ifb away${netnsGone ? ' without namespace, limits or prevResult' : ''}, twice`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a');
    const adds = deletes === REFERENCE ? 'bandwidth' : REFERENCE;
    await node.succeed(t, 'ADD', { ...a.call, plugin: netnsGone ? 'bandwidth' : adds });
    if (netnsGone) await node.deletePod('a');
    const late = { plugin: deletes, config: bareConfig(a), containerID: 'a' };
    const call = netnsGone ? late : { ...a.call, plugin: deletes };
    await node.succeed(t, 'DEL', call);
    await node.succeed(t, 'DEL', call);
    t.deepEqual(await node.ip('link show type ifb'), []);
  });
}

const runtime = (bandwidth: object) => ({ runtimeConfig: { bandwidth } });

test('limits of one direction, of the runtime in any letter case, and none at all', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a', runtime({ IngressRate: 8_000_000, IngressBurst: 800_000 }));
  const b = await addPod(t, node, 'b', runtime({ egressRate: 8_000_000, egressBurst: 800_000 }));
  const c = await addPod(t, node, 'c', {});
  const d = await addPod(t, node, 'd', {
    ingressRate: 0,
    ...runtime({ egressRate: 8_000_000, egressBurst: 800_000 }),
  });
  for (const pod of [a, b, c, d]) await node.succeed(t, 'ADD', pod.call);
  t.regex(await queues(node, a), /qdisc tbf 1: dev VETH root .*rate 8Mbit burst 100000b/);
  t.notRegex(await queues(node, b), /tbf .*VETH/);
  t.regex(await queues(node, b), /ingress ffff: dev VETH/);
  for (const pod of [c, d])
    t.notRegex(await queues(node, pod), /VETH.*(tbf|ingress)|ingress.*VETH/);
  t.is((await node.ip('link show type ifb')).length, 1);
  for (const pod of [a, b, c, d]) await node.succeed(t, 'CHECK', pod.call);
});

test('a burst and a rate that 32 bits do not hold are kept as well as the kernel can', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a', {
    ingressRate: 1_000_000,
    ingressBurst: 4_294_967_295,
    egressRate: 80_000_000_000,
    egressBurst: 4_294_967_295,
  });
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  t.regex(await queues(node, a), /dev VETH root .*rate 1Mbit/);
  t.regex(await queues(node, a), /dev bwp\w+ root .*rate 80Gbit/);
});

const CHOSEN = {
  'a queueing discipline': [
    (veth: string) => `tc qdisc add dev ${veth} root handle 5: pfifo limit 9`,
    /has a queueing discipline already: pfifo/,
  ],
  'a filter': [
    (veth: string) =>
      `tc qdisc add dev ${veth} clsact && tc filter add dev ${veth} ingress protocol ip prio 7 u32 match ip dst 203.0.113.9/32 flowid 1:7`,
    /has filters for what comes in that are somebody else's/,
  ],
} as const;

for (const [what, [command, expected]] of Object.entries(CHOSEN)) {
  test(`${what} that somebody chose for the interface stays: ADD is refused`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a');
    await node.run('sh', ['-c', command(vethOf(a))]);
    const before = await queues(node, a);
    t.regex((await node.call('ADD', a.call)).json.msg, expected);
    t.is(await queues(node, a), before);
    t.deepEqual(await node.ip('link show type ifb'), []);
  });
}

test('an ADD again after one that died makes it anew', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  await node.succeed(t, 'ADD', { ...a.call, plugin: REFERENCE });
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  t.is((await node.ip('link show type ifb')).length, 1);
});

test('a second interface of a container in one network is refused, and leaves nothing', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  const { json } = await node.succeed(t, 'ADD', a.call);
  const name = json.interfaces[3].name as string;
  // What it is limited by stays that of eth0, which has another name by now.
  await node.run('ip', ['link', 'set', 'eth0', 'down'], a.netns);
  await node.run('ip', ['link', 'set', 'eth0', 'name', 'eth1'], a.netns);
  await node.run('tc', ['qdisc', 'del', 'dev', vethOf(a), 'root']);
  const second = await node.call('ADD', { ...a.call, ifName: 'eth1' });
  t.regex(second.json.msg, /another interface of the container is limited in this network/);
  t.notRegex(await node.run('tc', ['qdisc', 'show', 'dev', vethOf(a), 'root']), /tbf/);
  await node.succeed(t, 'DEL', { ...a.call, ifName: 'eth1' });
  t.is((await node.ip('link show type ifb'))[0].ifname, name);
});

const BREAKAGES: Readonly<
  Record<string, readonly [(veth: string, ifb: string) => string, RegExp]>
> = {
  'the queue gone': [(veth) => `tc qdisc del dev ${veth} root`, /No token bucket limits/],
  'another rate': [
    (veth) => `tc qdisc replace dev ${veth} root tbf rate 1mbit burst 10kb latency 25ms`,
    /Rate doesn't match of interface "veth\w+": it is 125000, not 12500000/,
  ],
  'the ifb gone': [(_, ifb) => `ip link del ${ifb}`, /Interface "bwp\w+" is gone/],
  'the ifb down': [(_, ifb) => `ip link set ${ifb} down`, /Interface "bwp\w+" is down/],
  'its queue gone': [(_, ifb) => `tc qdisc del dev ${ifb} root`, /No token bucket .*"bwp/],
  'the redirection gone': [
    (veth) => `tc filter del dev ${veth} parent ffff:`,
    /What comes in by "veth\w+" is not redirected to "bwp/,
  ],
  'the ingress queue gone': [
    (veth) => `tc qdisc del dev ${veth} ingress`,
    /What comes in by "veth\w+" is not redirected to "bwp/,
  ],
};

for (const [what, [command, expected]] of Object.entries(BREAKAGES)) {
  test(`CHECK notices: ${what}`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a');
    const { json } = await node.succeed(t, 'ADD', a.call);
    await node.run('sh', ['-c', command(vethOf(a), json.interfaces[3].name)]);
    t.regex((await node.call('CHECK', a.call)).json.msg, expected);
    await node.succeed(t, 'DEL', a.call);
  });
}

test('GC deletes the ifb of attachments that are not valid, and of no other network', async (t) => {
  await using node = await TestNode.create();
  const keys = { ...LIMITS, cniVersion: '1.1.0' };
  const a = await addPod(t, node, 'a', keys);
  const b = await addPod(t, node, 'b', keys);
  const c = await addPod(t, node, 'c', { ...keys, name: 'net2' });
  for (const pod of [a, b, c]) await node.succeed(t, 'ADD', pod.call);
  const config = {
    cniVersion: '1.1.0',
    name: 'net1',
    type: 'bandwidth',
    'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }],
  };
  await node.succeed(t, 'GC', { plugin: 'bandwidth', config, containerID: '', ifName: '' });
  const links = (await node.ip('link show type ifb')) as { ifalias: string }[];
  const owners = links.map(({ ifalias }) => /id: (\w)/.exec(ifalias)?.[1] ?? '');
  t.is(owners.toSorted((x, y) => x.localeCompare(y)).join(' '), 'b c');
  await node.succeed(t, 'CHECK', b.call);
});

for (const cniVersion of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
  test(`${cniVersion}: the ifb is added to the result of the plugin before`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { ...LIMITS, cniVersion });
    const { json } = await node.succeed(t, 'ADD', a.call);
    const before = a.config['prevResult'] as { interfaces: object[] };
    t.deepEqual(json, { ...before, interfaces: [...before.interfaces, json.interfaces[3]] });
  });
}
