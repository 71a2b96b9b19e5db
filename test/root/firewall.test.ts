/** firewall: who gets through to whom, what CHECK sees, and what is left. */
import test, { type ExecutionContext } from 'ava';
import { isSkippedFromSource, TestNode } from '#test/node.ts';
import { processesOf } from '#test/trace.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { addFirewallPod, filterRules } from './firewall-pods.ts';
import { bareConfig, type Pod } from './pods.ts';

const LAN = [
  ['192.0.2.1/24', '192.0.2.254/24'],
  ['fd00:9::1/64', 'fd00:9::254/64'],
] as const;

const NOTHING = /timeout|EHOSTUNREACH|ETIMEDOUT/;
const IPTABLES = { backend: 'iptables' };

const rules = async (node: TestNode): Promise<string> => (await filterRules(node)).join('\n');

/** DEL as a runtime that has lost everything else sends it. */
const late = (pod: Pod) => ({ ...pod.call, config: bareConfig(pod), netns: '' });

async function added(
  t: ExecutionContext,
  node: TestNode,
  id: string,
  keys: Readonly<Record<string, unknown>> = {},
  bridge?: string,
): Promise<Pod> {
  const pod = await addFirewallPod(t, node, id, { ...IPTABLES, ...keys }, bridge);
  const { json } = await node.succeed(t, 'ADD', pod.call);
  t.deepEqual(json, pod.config['prevResult']);
  return pod;
}

for (const cniVersion of ['0.4.0', '1.0.0', '1.1.0']) {
  test(`${cniVersion}: through a FORWARD chain that drops, a pod reaches outside with firewall alone`, async (t) => {
    await using node = await TestNode.create();
    const outside = await addOutside(node, ...LAN);
    for (const program of ['iptables', 'ip6tables']) {
      await node.run(program, ['-P', 'FORWARD', 'DROP']);
    }
    const before = await rules(node);
    const a = await addFirewallPod(t, node, 'a', { ...IPTABLES, cniVersion });
    const route = { from: a.netns, to: outside };
    t.regex(await sourceSeen({ ...route, address: '192.0.2.1' }), NOTHING);
    await node.succeed(t, 'ADD', a.call);
    t.is(await sourceSeen({ ...route, address: '192.0.2.1' }), '10.1.0.2');
    t.is(await sourceSeen({ ...route, address: 'fd00:9::1' }), 'fd00:1::2');
    await node.succeed(t, 'CHECK', a.call);
    await node.deletePod('a');
    await node.succeed(t, 'DEL', late(a));
    await node.succeed(t, 'DEL', late(a));
    t.is(await rules(node), before);
    t.deepEqual(node.files('firewall'), []);
  });
}

test('same-bridge: pods of one bridge reach each other, those of two do not', async (t) => {
  await using node = await TestNode.create();
  const a = await added(t, node, 'a', { ingressPolicy: 'same-bridge' });
  const b = await added(t, node, 'b', { ingressPolicy: 'same-bridge' });
  const c = await addFirewallPod(
    t,
    node,
    'c',
    { ...IPTABLES, ingressPolicy: 'same-bridge' },
    'br1',
  );
  const across = { from: a.netns, to: c.netns };
  t.is(await sourceSeen({ ...across, address: '10.2.0.2' }), '10.1.0.2', 'before');
  await node.succeed(t, 'ADD', c.call);
  t.regex(await sourceSeen({ ...across, address: '10.2.0.2' }), NOTHING);
  t.regex(await sourceSeen({ ...across, address: 'fd00:2::2' }), NOTHING);
  t.regex(await sourceSeen({ from: c.netns, to: a.netns, address: '10.1.0.2' }), NOTHING);
  t.is(await sourceSeen({ from: a.netns, to: b.netns, address: '10.1.0.3' }), '10.1.0.2');
  await node.succeed(t, 'CHECK', c.call);
  await node.succeed(t, 'DEL', late(a));
  t.regex(await rules(node), /-i br0 ! -o br0/, 'b is still there');
  await node.succeed(t, 'DEL', late(b));
  t.notRegex(await rules(node), /br0/);
  t.regex(await rules(node), /-i br1 ! -o br1/);
  await node.succeed(t, 'DEL', late(c));
  t.notRegex(await rules(node), /CNI-/);
});

test('isolated: pods of one bridge do not reach each other either, but outside', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  await node.run('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=1']);
  await node.run('sysctl', ['-qw', 'net.bridge.bridge-nf-call-ip6tables=1']);
  const a = await addFirewallPod(t, node, 'a', { ...IPTABLES, ingressPolicy: 'isolated' });
  const b = await addFirewallPod(t, node, 'b', { ...IPTABLES, ingressPolicy: 'isolated' });
  const among = { from: a.netns, to: b.netns };
  t.is(await sourceSeen({ ...among, address: '10.1.0.3' }), '10.1.0.2', 'before');
  await node.succeed(t, 'ADD', a.call);
  const { stderr } = await node.succeed(t, 'ADD', b.call);
  t.is(stderr, '');
  t.regex(await sourceSeen({ ...among, address: '10.1.0.3' }), NOTHING);
  t.regex(await sourceSeen({ ...among, address: 'fd00:1::3' }), NOTHING);
  t.is(await sourceSeen({ from: a.netns, to: outside, address: '192.0.2.1' }), '10.1.0.2');
  await node.succeed(t, 'CHECK', a.call);
  await node.run('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=0']);
  t.is(await sourceSeen({ ...among, address: '10.1.0.3' }), '10.1.0.2', 'bridged past iptables');
  const warned = await node.succeed(t, 'ADD', b.call);
  t.regex(warned.stderr, /bridge-nf-call-iptables is not 1/);
  await node.succeed(t, 'DEL', late(a));
  await node.succeed(t, 'DEL', late(b));
  t.notRegex(await rules(node), /CNI-/);
});

test('isolation is looked at first even where somebody flushed FORWARD', async (t) => {
  await using node = await TestNode.create();
  await added(t, node, 'a', { ingressPolicy: 'same-bridge' });
  await node.run('iptables', ['-D', 'FORWARD', '1']);
  await added(t, node, 'b', { ingressPolicy: 'same-bridge' });
  await node.run('iptables', ['-D', 'FORWARD', '2']);
  await added(t, node, 'c');
  const jumps = (await rules(node)).match(/^-A FORWARD .*$/gm)?.slice(0, 2) ?? [];
  t.regex(jumps[0] ?? '', /-j CNI-ISOLATION-STAGE-1$/);
  t.regex(jumps[1] ?? '', /-j CNI-FORWARD$/);
});

test("the administrator's chain overrides, and stays while it holds rules", async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const keys = { iptablesAdminChainName: 'MY-RULES' };
  const a = await added(t, node, 'a', keys);
  await node.run('iptables', ['-A', 'MY-RULES', '-s', '10.1.0.2', '-j', 'DROP']);
  const route = { from: a.netns, to: outside, address: '192.0.2.1' };
  t.regex(await sourceSeen(route), NOTHING);
  await node.succeed(t, 'DEL', late(a));
  t.regex(await rules(node), /-A MY-RULES -s 10\.1\.0\.2\/32 -j DROP/);
  t.notRegex(await rules(node), /CNI-FORWARD/);
  t.is((await rules(node)).match(/^:MY-RULES/gm)?.length, 1, 'the empty one of IPv6 is gone');
  t.is(await sourceSeen(route), '10.1.0.2');
});

test('a chain of ours that somebody else leads to stays', async (t) => {
  await using node = await TestNode.create();
  const a = await added(t, node, 'a');
  await node.run('iptables', ['-N', 'OTHER']);
  await node.run('iptables', ['-A', 'OTHER', '-j', 'CNI-FORWARD']);
  await node.succeed(t, 'DEL', late(a));
  const left = await rules(node);
  t.regex(left, /-A OTHER -j CNI-FORWARD/);
  t.notRegex(left, /10\.1\.0\.2|fd00/);
});

test('CHECK names the rule that is missing', async (t) => {
  await using node = await TestNode.create();
  const a = await added(t, node, 'a', { ingressPolicy: 'isolated' });
  for (const rule of [
    ['CNI-FORWARD', '-s', '10.1.0.2/32', '-j', 'ACCEPT'],
    ['CNI-ISOLATION-STAGE-2', '-o', 'br0', '-j', 'DROP'],
    ['FORWARD', '-j', 'CNI-FORWARD'],
  ]) {
    const { json } = await node.call('CHECK', a.call);
    t.is(json, undefined);
    const before = await node.run('iptables-save', ['-t', 'filter']);
    const lines = before.split('\n');
    const own = lines.find((line) => matches(line, rule)) ?? '';
    const number = lines.filter((line) => line.startsWith(`-A ${rule[0]} `)).indexOf(own) + 1;
    await node.run('iptables', ['-D', rule[0] ?? '', String(number)]);
    const missing = await node.call('CHECK', a.call);
    t.is(missing.exitCode, 1);
    t.is(missing.json.msg, `expected rule [${rule.join(' ')}] not found`);
    await node.succeed(t, 'ADD', a.call);
  }
});

const matches = (line: string, [chain = '', ...spec]: readonly string[]): boolean =>
  line.replace(/-m comment --comment "[^"]*" /, '') === `-A ${chain} ${spec.join(' ')}`;

test('GC removes the attachments of its network that are not valid, STATUS says that there is iptables', async (t) => {
  await using node = await TestNode.create();
  const keys = { cniVersion: '1.1.0', ingressPolicy: 'same-bridge' };
  const a = await added(t, node, 'a', keys);
  await added(t, node, 'b', keys);
  await added(t, node, 'c', keys, 'br1');
  await node.succeed(t, 'STATUS', { plugin: 'firewall', config: bareConfig(a) });
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] };
  const gc = { plugin: 'firewall', config: { ...bareConfig(a), ...valid } };
  await node.succeed(t, 'GC', gc);
  const left = await rules(node);
  t.regex(left, /10\.1\.0\.2\/32/);
  t.notRegex(left, /10\.1\.0\.3|fd00:1::3/);
  t.regex(left, /10\.2\.0\.2\/32/, 'another network');
  t.is(node.files('firewall').length, 2);
  const none = { ...bareConfig(a), 'cni.dev/valid-attachments': [] };
  await node.succeed(t, 'GC', { plugin: 'firewall', config: none });
  t.notRegex(await rules(node), /br0|10\.1\./);
});

test('DEL succeeds after the rules were flushed, without file and prevResult, and with a file that is spoilt', async (t) => {
  await using node = await TestNode.create();
  const a = await added(t, node, 'a');
  await node.run('nft', ['flush', 'ruleset']);
  await node.succeed(t, 'DEL', late(a));
  t.deepEqual(node.files('firewall'), []);
  await node.succeed(t, 'DEL', late(a));
  await node.succeed(t, 'ADD', a.call);
  const [name = ''] = node.files('firewall');
  node.writeFile(`firewall/${name}`, '{"network":');
  await node.succeed(t, 'DEL', a.call);
  t.notRegex(await rules(node), /CNI-/);
  t.deepEqual(node.files('firewall'), []);
});

test('the rules of an address that has a new owner stay when the DEL of the old one comes late', async (t) => {
  await using node = await TestNode.create();
  const a = await added(t, node, 'a');
  const next = { ...a.call, containerID: 'next' };
  await node.succeed(t, 'ADD', next);
  await node.succeed(t, 'DEL', late(a));
  await node.succeed(t, 'DEL', a.call);
  await node.succeed(t, 'CHECK', next);
  await node.succeed(t, 'DEL', next);
  t.notRegex(await rules(node), /CNI-/);
});

test('an ADD that fails leaves nothing behind', async (t) => {
  await using node = await TestNode.create();
  const a = await addFirewallPod(t, node, 'a', { ...IPTABLES, ingressPolicy: 'isolated' });
  const before = await rules(node);
  // IPv4 is done when IPv6 fails.
  const folder = node.path('broken');
  await node.run('mkdir', [folder]);
  await node.run('ln', ['-s', '/bin/false', `${folder}/ip6tables-restore`]);
  const env = { PATH: `${folder}:${process.env['PATH']}` };
  const { exitCode, json } = await node.call('ADD', { ...a.call, env });
  t.is(exitCode, 1);
  t.is(json.code, 5);
  t.regex(json.msg, /ip6tables-restore failed/);
  t.is(await rules(node), before);
  t.deepEqual(node.files('firewall'), []);
});

test('a pod of IPv4 alone needs no ip6tables', async (t) => {
  await using node = await TestNode.create();
  const pod = await addFirewallPod(t, node, 'a', { ...IPTABLES, subnets: ['10.1.0.0/24'] });
  const folder = node.path('programs');
  await node.run('mkdir', [folder]);
  for (const name of ['iptables', 'iptables-save', 'iptables-restore']) {
    await node.run('ln', ['-s', `/usr/sbin/${name}`, `${folder}/${name}`]);
  }
  await node.run('ln', ['-s', '/usr/bin/nsenter', `${folder}/nsenter`]);
  const env = { PATH: folder };
  for (const command of ['ADD', 'CHECK', 'DEL'])
    await node.succeed(t, command, { ...pod.call, env });
  t.notRegex(await rules(node), /CNI-/);
});

test('ten pods that come and go at once make each shared rule once and leave none', async (t) => {
  await using node = await TestNode.create();
  const ids = Array.from({ length: 10 }, (_, index) => `p${index}`);
  const pods: Pod[] = [];
  for (const id of ids) {
    const keys = { ...IPTABLES, ingressPolicy: 'same-bridge' };
    pods.push(await addFirewallPod(t, node, id, keys));
  }
  await Promise.all(pods.map((pod) => node.succeed(t, 'ADD', pod.call)));
  const lines = (await filterRules(node)).filter((line) => line.startsWith('-A '));
  // Those of IPv4 and IPv6 without addresses are alike.
  const shared = lines.filter((line) => !/ -[sd] /.test(line));
  t.is(shared.length, 2 * new Set(shared).size);
  t.is(lines.length - shared.length, 40);
  await Promise.all(pods.map((pod) => node.succeed(t, 'DEL', late(pod))));
  t.notRegex(await rules(node), /CNI-/);
});

test('ADD and DEL start two processes a family, and none to look for firewalld without a bus', async (t) => {
  if (isSkippedFromSource(t, 'Node itself is a process')) return;
  await using node = await TestNode.create();
  const a = await addFirewallPod(t, node, 'a');
  for (const command of ['ADD', 'DEL']) {
    const env = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nowhere' };
    const { exitCode, executed } = await processesOf(node, command, { ...a.call, env });
    t.is(exitCode, 0);
    t.is(executed.length, 1 + 4, executed.join('\n'));
  }
});
