/** GC of every plugin with state: what goes and what stays, with a list of what is valid and without. */
import test from 'ava';
import { ptpConfig } from '#test/configs.ts';
import { scaled } from '#test/limits.ts';
import { TestNode } from '#test/node.ts';
import { addPod, bridgeWith, gc, owners, place, PODS, SUBJECTS, type Subject } from './subjects.ts';

for (const [what, subject] of Object.entries<Subject>(SUBJECTS)) {
  test(`GC of ${what}: what is not valid goes, without a list what is provably dead; other networks stay`, async (t) => {
    await using node = await TestNode.create();
    for (const pod of PODS) await addPod(t, node, subject, pod);
    await gc(t, node, subject, undefined);
    t.is(await owners(node, subject), 'a b c d', 'all live');
    await node.deletePod('a');
    await node.deletePod('c');
    // The path is there again, with another namespace.
    await node.addPod('a');
    await gc(t, node, subject, undefined);
    t.is(await owners(node, subject), 'b c d', 'no list');
    await gc(t, node, subject, [{ containerID: 'b', ifname: 'eth0' }]);
    t.is(await owners(node, subject), 'b c', 'a list');
    await gc(t, node, subject, null);
    t.is(await owners(node, subject), 'c', 'null');
    await addPod(t, node, subject, ['e', 'net1']);
    await gc(t, node, subject, []);
    t.is(await owners(node, subject), 'c', 'an empty list');
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
    t.is(await owners(node, subject), 'a b c d');
    const program = `ip netns exec ${node.name}-a sleep ${scaled(30)} > /dev/null 2>&1 & echo $!`;
    const sleeper = await node.run('sh', ['-c', program]);
    await node.run('sh', [
      '-c',
      `until nsenter -t ${sleeper} -n ip link show eth0 2>&1 | grep -q eth0; do sleep 0.05; done`,
    ]);
    await node.deletePod('a');
    t.is(await owners(node, subject), 'a b c d', 'it lives on');
    await gc(t, node, subject, undefined);
    t.is(await owners(node, subject), 'b c d');
    await node.run('kill', [sleeper]);
    await gc(t, node, subject, [{ containerID: 'b', ifname: 'eth0' }]);
    t.is(await owners(node, subject), 'b c');
  });
}

test('an ifb that a killed ADD had not marked yet goes with its network, and no other', async (t) => {
  await using node = await TestNode.create();
  const subject = SUBJECTS.bandwidth;
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

for (const plugin of ['flannel', 'firewall'] as const) {
  test(`GC of ${plugin} without a list takes what an earlier boot left in its folder`, async (t) => {
    await using node = await TestNode.create();
    const subject = SUBJECTS[plugin];
    for (const pod of PODS) await addPod(t, node, subject, pod);
    const former = 's/boot [0-9a-f-]*/boot 00000000-0000-0000-0000-000000000000/';
    for (const name of node.files(plugin).filter((file) => /^[ac]/.test(file)))
      await node.run('sed', ['-i', former, node.path(plugin, name)]);
    await gc(t, node, subject, undefined);
    t.is(await owners(node, subject), 'b c d');
  });
}

test('flannel passes GC on without subnet.env too', async (t) => {
  await using node = await TestNode.create();
  const subject = SUBJECTS.flannel;
  for (const pod of PODS) await addPod(t, node, subject, pod);
  const config = subject.config(node, 'net1');
  await node.run('rm', [node.path('net1.env')]);
  await gc(t, node, { ...subject, config: () => config }, [{ containerID: 'b', ifname: 'eth0' }]);
  const reserved = node.files('networks').filter((name) => /\/10\./.test(name));
  t.deepEqual(reserved, ['net1/10.244.1.3', 'net2/10.244.2.2']);
});

test('GC goes on after a step that fails, and says what failed', async (t) => {
  await using node = await TestNode.create();
  const subject = SUBJECTS['bridge, masquerading by nftables'];
  const { firewall } = SUBJECTS;
  const lists = { 'cni.dev/valid-attachments': [] };
  for (const pod of PODS) await addPod(t, node, subject, pod);
  node.writeProgram('empty/broken', 'echo broken >&2; exit 1');
  const answer = await node.call('GC', {
    plugin: 'bridge',
    config: { ...subject.config(node, 'net1'), ipam: { type: 'broken' }, ...lists },
    path: node.path('empty'),
  });
  t.regex(answer.json.msg, /netplugin failed: "broken"/);
  t.is(await owners(node, subject), 'c');
  for (const pod of ['x', 'y']) await addPod(t, node, firewall, [pod, 'net1']);
  await node.run('mkdir', [node.path('programs')]);
  await node.run('ln', ['-s', '/bin/false', node.path('programs', 'iptables-restore')]);
  const refused = await node.call('GC', {
    plugin: 'firewall',
    config: { ...firewall.config(node, 'net1'), ...lists },
    env: { PATH: `${node.path('programs')}:${process.env['PATH']}` },
  });
  t.regex(refused.json.msg, /iptables-restore failed/);
  t.is(await owners(node, firewall), 'x y', 'for the next GC');
  await gc(t, node, firewall, []);
  t.is(await owners(node, firewall), '');
});
