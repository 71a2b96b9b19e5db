/** Who reaches a pod of a bridge, and under which name: hardware addresses, neighbours, spoofed frames. */
import test from 'ava';
import { bridgeConfig, ipam } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

test('macspoofchk drops what does not come from the container, and DEL ends it', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { macspoofchk: true });
  const netns = await node.addPod('a');
  const host = node.netns;
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.is(await sourceSeen({ from: netns, to: host, address: '10.1.0.1' }), '10.1.0.2');
  await node.succeed(t, 'CHECK', withResult({ plugin: 'bridge', config, netns }, json));
  t.regex(await node.rules(), /chain cni-br-iface-cid1-eth0-mac/);
  await node.run('ip', ['link', 'set', 'eth0', 'address', '02:00:00:00:00:99'], netns);
  t.not(await sourceSeen({ from: netns, to: host, address: '10.1.0.1' }), '10.1.0.2');
  await node.deletePod('a');
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
  t.is(await node.rules(), '');
});

test('a pod with a reused address is reached at once, though the host remembers another', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipam: ipam(node, ['10.1.0.0/29', 'fd00:1::/125']) });
  await node.run('ip', ['link', 'add', 'br0', 'type', 'bridge']);
  await node.run('ip', ['link', 'set', 'br0', 'up']);
  for (const address of ['10.1.0.2', 'fd00:1::2']) {
    await node.run('ip', [
      'neigh',
      'add',
      address,
      'lladdr',
      '02:de:ad:00:00:01',
      'dev',
      'br0',
      'nud',
      'permanent',
    ]);
  }
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  const host = node.netns;
  t.is(await sourceSeen({ from: host, to: netns, address: '10.1.0.2' }), '10.1.0.1');
  t.is(await sourceSeen({ from: host, to: netns, address: 'fd00:1::2' }), 'fd00:1::1');
});

test('other pods of the bridge learn a reused address by the announcement', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node);
  const old = await node.addPod('old');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns: old });
  await node.run(
    'ip',
    ['neigh', 'add', '10.1.0.3', 'lladdr', '02:de:ad:00:00:01', 'dev', 'eth0', 'nud', 'stale'],
    old,
  );
  const netns = await node.addPod('new');
  const { json } = await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config,
    netns,
    containerID: 'cid2',
  });
  t.is(json.ips[0].address, '10.1.0.3/24');
  const [entry] = await node.ip('neigh show 10.1.0.3 dev eth0', old);
  t.is(entry.lladdr, json.interfaces[2].mac);
});

test('two ranges of one family: the bridge is the gateway of both', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipam: ipam(node, ['10.1.0.0/24', '10.2.0.0/24']) });
  for (const pod of ['a', 'b']) {
    const netns = await node.addPod(pod);
    await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns, containerID: pod });
    const host = node.netns;
    t.regex(await sourceSeen({ from: netns, to: host, address: '10.1.0.1' }), /^10\.1\./);
    t.regex(await sourceSeen({ from: netns, to: host, address: '10.2.0.1' }), /^10\.2\./);
  }
});

test('a bridge with the spanning tree protocol is not waited for', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'type', 'bridge', 'stp_state', '1']);
  const config = bridgeConfig(node);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  await node.succeed(t, 'CHECK', withResult({ plugin: 'bridge', config, netns }, json));
});

test('CHECK of a network without addresses on a bridge that somebody else made', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'type', 'bridge']);
  const config = bridgeConfig(node, { ipam: undefined, isDefaultGateway: false });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  await node.succeed(t, 'CHECK', withResult({ plugin: 'bridge', config, netns }, json));
});

test('a pod with IPv6 on a host that has it switched off', async (t) => {
  await using node = await TestNode.create();
  await node.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6']);
  const config = bridgeConfig(node, { ipam: ipam(node, ['fd00:1::/64']), isDefaultGateway: false });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
});
