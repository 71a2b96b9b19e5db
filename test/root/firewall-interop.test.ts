/** Our firewall beside the reference plugin, on a live node in both directions. */
import test, { type ExecutionContext } from 'ava';
import { REFERENCE_BIN, TestNode } from '#test/node.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { addFirewallPod, filterRules } from './firewall-pods.ts';
import { bareConfig, type Pod } from './pods.ts';

const REFERENCE = `${REFERENCE_BIN}/firewall`;

const LAN = [
  ['192.0.2.1/24', '192.0.2.254/24'],
  ['fd00:9::1/64', 'fd00:9::254/64'],
] as const;

/** Three pods, two of one bridge, with the rules of a plugin. @returns the tables, line by line */
async function rulesBy(t: ExecutionContext, plugin: string, ingressPolicy: string) {
  await using node = await TestNode.create();
  for (const [id, bridge] of [
    ['a', 'br0'],
    ['b', 'br0'],
    ['c', 'br1'],
  ] as const) {
    const pod = await addFirewallPod(t, node, id, { ingressPolicy, backend: 'iptables' }, bridge);
    await node.succeed(t, 'ADD', { ...pod.call, plugin });
    // The second time nothing comes twice.
    await node.succeed(t, 'ADD', { ...pod.call, plugin });
  }
  return await filterRules(node);
}

for (const policy of ['open', 'same-bridge']) {
  test(`ingressPolicy ${policy}: the rules are the reference plugin's, line by line`, async (t) => {
    const own = await rulesBy(t, 'firewall', policy);
    t.regex(own.join('\n'), /-A CNI-FORWARD -s 10\.1\.0\.2\/32 -j ACCEPT/);
    t.deepEqual(own, await rulesBy(t, REFERENCE, policy));
  });
}

for (const [adds, deletes] of [
  [REFERENCE, 'firewall'],
  ['firewall', REFERENCE],
] as const) {
  const way = adds === REFERENCE ? "our DEL removes the reference's rules" : 'its DEL removes ours';
  test(`${way}, and the pod gets answers in between`, async (t) => {
    await using node = await TestNode.create();
    const outside = await addOutside(node, ...LAN);
    await node.run('iptables', ['-P', 'FORWARD', 'DROP']);
    const keys = { ingressPolicy: 'same-bridge', backend: 'iptables' };
    const a = await addFirewallPod(t, node, 'a', keys);
    const b = await addFirewallPod(t, node, 'b', keys);
    await node.succeed(t, 'ADD', { ...a.call, plugin: adds });
    await node.succeed(t, 'ADD', { ...b.call, plugin: adds });
    await node.succeed(t, 'CHECK', { ...b.call, plugin: 'firewall' });
    const route = { to: outside, address: '192.0.2.1' };
    t.is(await sourceSeen({ ...route, from: a.netns }), '10.1.0.2');
    await node.succeed(t, 'DEL', { ...a.call, plugin: deletes });
    const left = (await filterRules(node)).join('\n');
    t.notRegex(left, /10\.1\.0\.2\/|fd00:1::2\//);
    t.regex(left, /10\.1\.0\.3\/32/, "the other pod's rules stay");
    t.regex(left, /fd00:1::3\/128/);
    t.regex(left, /-i br0 ! -o br0/, 'and so does what keeps its bridge apart');
    t.is(await sourceSeen({ ...route, from: b.netns }), '10.1.0.3');
    await node.succeed(t, 'DEL', { ...b.call, plugin: 'firewall' });
    if (adds === REFERENCE) t.notRegex((await filterRules(node)).join('\n'), /CNI-/);
  });
}

test('ADDs succeed while the reference plugin makes the same chains, and all of it goes', async (t) => {
  await using node = await TestNode.create();
  const pods: Pod[] = [];
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const keys = { ingressPolicy: 'same-bridge', backend: 'iptables' };
    pods.push(await addFirewallPod(t, node, id, keys));
  }
  await Promise.all(
    pods.map((pod, index) =>
      index % 2 === 0
        ? node.succeed(t, 'ADD', pod.call)
        : // It may fail when the chains come into being between its look and its making them.
          node.call('ADD', { ...pod.call, plugin: REFERENCE }),
    ),
  );
  for (const [index, { call }] of pods.entries()) {
    if (index % 2 === 0) await node.succeed(t, 'CHECK', call);
  }
  await Promise.all(pods.map(({ call }) => node.succeed(t, 'DEL', call)));
  t.notRegex((await filterRules(node)).join('\n'), /CNI-/);
});

test('an address that came back to a pod of ours is not held by a file that the reference left', async (t) => {
  await using node = await TestNode.create();
  const keys = { backend: 'iptables' };
  const a = await addFirewallPod(t, node, 'a', keys);
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'DEL', { ...a.call, plugin: REFERENCE });
  const next = { ...a.call, containerID: 'next' };
  await node.succeed(t, 'ADD', next);
  await node.succeed(t, 'DEL', { ...next, config: bareConfig(a) });
  t.notRegex((await filterRules(node)).join('\n'), /CNI-/);
  t.deepEqual(node.files('firewall'), []);
});

test('what legacy iptables holds is removed as well', async (t) => {
  await using node = await TestNode.create();
  const a = await addFirewallPod(t, node, 'a', { ingressPolicy: 'isolated', backend: 'iptables' });
  const folder = node.path('legacy');
  await node.run('mkdir', [folder]);
  for (const name of ['iptables', 'ip6tables']) {
    for (const ending of ['', '-save', '-restore']) {
      const program = `/usr/sbin/${name}-legacy${ending}`;
      await node.run('ln', ['-s', program, `${folder}/${name}${ending}`]);
    }
  }
  const env = { PATH: `${folder}:${process.env['PATH']}` };
  await node.succeed(t, 'ADD', { ...a.call, env });
  t.regex(
    await node.run('iptables-legacy-save', []),
    /-A CNI-FORWARD -s 10\.1\.0\.2\/32 -j ACCEPT/,
  );
  await node.succeed(t, 'CHECK', { ...a.call, env });
  await node.succeed(t, 'DEL', { ...a.call, config: bareConfig(a), env });
  for (const program of ['iptables-legacy-save', 'ip6tables-legacy-save']) {
    t.notRegex(await node.run(program, []), /CNI-/);
  }
});
