import { existsSync } from 'node:fs';
import test from 'ava';
import { bridgeConfig, ipam, ptpConfig } from '#test/configs.ts';
import { isSkippedFromSource, TestNode, withResult } from '#test/node.ts';
import { killAt } from '#test/trace.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';

for (const backend of ['nftables', 'iptables'] as const) {
  test(`${backend}: what leaves the subnet is masqueraded, but for nonMasqueradeCIDRs`, async (t) => {
    await using node = await TestNode.create();
    const to = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
    await node.run('ip', ['addr', 'add', '10.200.0.1/32', 'dev', 'lan0'], to);
    await node.run('ip', ['route', 'add', '10.200.0.0/16', 'via', '192.0.2.1']);
    const config = bridgeConfig(node, {
      ipMasq: true,
      ipMasqBackend: backend,
      nonMasqueradeCIDRs: ['10.200.0.0/16'],
      cniVersion: '1.1.0',
    });
    const netns = await node.addPod('a');
    const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
    t.is(await sourceSeen({ from: netns, to, address: '192.0.2.1' }), '192.0.2.254');
    t.is(await sourceSeen({ from: netns, to, address: '10.200.0.1' }), '10.1.0.2');
    const check = withResult({ plugin: 'bridge', config, netns }, json);
    await node.succeed(t, 'CHECK', check);
    await node.run('nft', ['flush', 'ruleset']);
    t.regex(
      (await node.call('CHECK', check)).json.msg,
      /Masquerading of 10\.1\.0\.2(\/24)? is missing/,
    );
    await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
    t.notRegex(await node.rules(), /10\.1\.0\.2|CNI-/);
  });
}

test('IPv6 is masqueraded too', async (t) => {
  await using node = await TestNode.create();
  const to = await addOutside(node, ['2001:db8::1/64', '2001:db8::ff/64']);
  const config = bridgeConfig(node, { ipMasq: true, ipam: ipam(node, ['fd00:1::/64']) });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.is(await sourceSeen({ from: netns, to, address: '2001:db8::1' }), '2001:db8::ff');
});

test('DEL needs neither namespace nor addresses, and takes only its own pod out', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, {
    ipMasq: true,
    ipam: ipam(node, ['10.1.0.0/24', 'fd00:1::/64']),
  });
  for (const pod of ['a', 'b']) {
    await node.succeed(t, 'ADD', {
      plugin: 'bridge',
      config,
      netns: await node.addPod(pod),
      containerID: pod,
    });
  }
  await node.deletePod('a');
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID: 'a' });
  const rules = await node.rules();
  t.notRegex(rules, /id: a,/);
  t.is(rules.match(/id: b,/g)?.length, 2);
  t.regex(rules, /masquerade/);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID: 'b' });
  t.is(await node.rules(), '');
});

test('after the tables were flushed the next ADD makes them anew', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true });
  const to = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config,
    netns: await node.addPod('a'),
    containerID: 'a',
  });
  await node.run('nft', ['flush', 'ruleset']);
  const netns = await node.addPod('b');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns, containerID: 'b' });
  t.is(await sourceSeen({ from: netns, to, address: '192.0.2.1' }), '192.0.2.254');
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns, containerID: 'b' });
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID: 'a' });
  t.is(await node.rules(), '');
});

test("an address's new owner takes over, and the old one's late DEL leaves it alone", async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true });
  await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config,
    netns: await node.addPod('a'),
    containerID: 'a',
  });
  await node.deletePod('a');
  // Somebody tidied up the reservations by hand: the address is given out again.
  await node.run('sh', ['-c', `rm -r ${node.path('networks')}`]);
  const netns = await node.addPod('b');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns, containerID: 'b' });
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID: 'a' });
  t.regex(await node.rules(), /10\.1\.0\.2 comment "[^"]*id: b,[^"]*" : goto/);
});

test('iptables: two interfaces of a container keep their rules apart', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, {
    ipMasq: true,
    ipMasqBackend: 'iptables',
    isDefaultGateway: false,
    isGateway: true,
  });
  const netns = await node.addPod('a');
  const jumps = async () =>
    (await node.run('iptables', ['-t', 'nat', '-S', 'POSTROUTING'])).match(/-s \S+/g);
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns, ifName: 'eth1' });
  t.deepEqual(await jumps(), ['-s 10.1.0.2/32', '-s 10.1.0.3/32']);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns, ifName: 'eth0' });
  t.deepEqual(await jumps(), ['-s 10.1.0.3/32']);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns, ifName: 'eth1' });
  t.notRegex(await node.rules(), /CNI-/);
});

test('rules of legacy iptables are found and deleted too', async (t) => {
  if (!existsSync('/usr/sbin/iptables-legacy')) {
    t.log('no iptables-legacy on this machine: not tested');
    t.pass();
    return;
  }
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true, ipMasqBackend: 'iptables' });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  const saved = await node.run('iptables-save', ['-t', 'nat']);
  await node.run('nft', ['flush', 'ruleset']);
  await node.run('iptables-legacy-restore', [node.writeFile('nat', `${saved}\n`)]);
  t.regex(await node.run('iptables-legacy-save', ['-t', 'nat']), /CNI-/);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
  t.notRegex(await node.run('iptables-legacy-save', ['-t', 'nat']), /CNI-/);
});

test('a prevResult that tells nothing does not keep DEL from deleting', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true, ipMasqBackend: 'iptables' });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  await node.succeed(t, 'DEL', {
    plugin: 'bridge',
    config: { ...config, prevResult: { cniVersion: '1.0.0' } },
  });
  t.notRegex(await node.rules(), /CNI-/);
});

test('a thousand exempt networks fit into one transaction', async (t) => {
  await using node = await TestNode.create();
  const nonMasqueradeCIDRs = Array.from(
    { length: 1000 },
    (_, index) => `100.${64 + (index >> 8)}.${index & 255}.0/24`,
  );
  const config = bridgeConfig(node, { ipMasq: true, nonMasqueradeCIDRs });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.is((await node.rules()).match(/daddr 100\./g)?.length, 1000);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
  t.is(await node.rules(), '');
});

for (const [plugin, command] of [
  ['bridge', 'DEL'],
  ['ptp', 'GC'],
] as const) {
  test(`wherever a DEL of ${plugin} is killed, the next ${command} leaves no rules`, async (t) => {
    if (isSkippedFromSource(t, "too many system calls are not the plugin's")) return;
    await using node = await TestNode.create();
    const keys = { cniVersion: '1.1.0', ipMasq: true, 'cni.dev/valid-attachments': [] };
    const config = plugin === 'ptp' ? ptpConfig(node, keys) : bridgeConfig(node, keys);
    const netns = await node.addPod('a');
    const call = { plugin, config, netns };
    let killed = 0;
    for (let isKilled = true; isKilled;) {
      await node.succeed(t, 'ADD', call);
      isKilled = await killAt(node, 'DEL', call, 'sendto', killed + 1);
      await node.succeed(t, command, call);
      t.is(await node.rules(), '', `killed at request ${killed + 1}`);
      t.deepEqual(node.files('networks'), []);
      if (isKilled) killed += 1;
    }
    t.true(killed > 5, `${killed} kills`);
    t.log(`${killed} kill points, nothing left`);
  });
}
