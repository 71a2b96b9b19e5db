/** MTUs that do not fit: a bridge with less than its pods, tunnels that are too small for IPv6. */
import test from 'ava';
import { bridgeConfig, flannelConfig, ipam, SUBNET_ENV } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';
import { bridgeWith, config, refuses } from './refuses.ts';

const BOTH = ['10.1.0.0/24', 'fd00:1::/64'];

test('bridge: an MTU below that of IPv6', refuses, 'bridge', {
  code: 7,
  message: /"fd00:1::2\/64": IPv6 needs an MTU of at least 1280 bytes, and the key "mtu" is 1279/,
  call: config((node) => bridgeConfig(node, { mtu: 1279, ipam: ipam(node, BOTH) })),
});

test('flannel: an MTU in subnet.env below that of IPv6', refuses, 'flannel', {
  code: 7,
  message: /"fd00:10::\/64": IPv6 needs an MTU of .* FLANNEL_MTU in ".*subnet\.env" is 1200/,
  call: (node) => {
    const ipv6 = 'FLANNEL_IPV6_NETWORK=fd00:10::/48\nFLANNEL_IPV6_SUBNET=fd00:10::1/64\n';
    node.writeFile('subnet.env', ipv6 + SUBNET_ENV.replace('1450', '1200'));
    return {};
  },
});

test('flannel: an MTU of the delegate below that of IPv6', refuses, 'flannel', {
  code: 7,
  message: /IPv6 needs an MTU of at least 1280 bytes, and the key "mtu" is 1200/,
  call: (node) => {
    const ipv6 = 'FLANNEL_IPV6_NETWORK=fd00:10::/48\nFLANNEL_IPV6_SUBNET=fd00:10::1/64\n';
    node.writeFile('subnet.env', ipv6 + SUBNET_ENV);
    return { config: { ...flannelConfig(node), delegate: { mtu: 1200 } } };
  },
});

test('an MTU of 1280 is enough for IPv6', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const conf = bridgeConfig(node, { mtu: 1280, ipam: ipam(node, BOTH) });
  await node.succeed(t, 'ADD', { plugin: 'bridge', config: conf, netns });
  t.pass();
});

test('a bridge of somebody else’s with an MTU below that of IPv6', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'mtu', '1200', 'up', 'type', 'bridge']);
  const netns = await node.addPod('a');
  const conf = bridgeConfig(node, { ipam: ipam(node, BOTH) });
  const { json } = await node.call('ADD', { plugin: 'bridge', config: conf, netns });
  t.is(json.code, 7);
  t.regex(json.msg, /"fd00:1::1\/64": IPv6 needs an MTU .* and the MTU of "br0" is 1200$/);
  t.deepEqual(await node.links(), ['br0']);
  t.deepEqual(await node.ip('addr show br0 scope global').then(([{ addr_info }]) => addr_info), []);
  t.deepEqual(node.files('networks'), []);
});

const mtuOf = async (node: TestNode, link: string): Promise<number> =>
  (await node.ip(`link show ${link}`))[0].mtu;

test('a network whose "mtu" was raised takes its bridge along, and large frames get through', async (t) => {
  await using node = await TestNode.create();
  const [a, b] = [await node.addPod('a'), await node.addPod('b')];
  const pod = (name: string, netns: string, mtu: number) => ({
    plugin: 'bridge',
    config: bridgeConfig(node, { cniVersion: '1.1.0', mtu }),
    containerID: name,
    netns,
  });
  await node.succeed(t, 'ADD', pod('old', await node.addPod('old'), 1400));
  t.is(await mtuOf(node, 'br0'), 1400);
  const added = await node.succeed(t, 'ADD', pod('a', a, 9000));
  await node.succeed(t, 'ADD', pod('b', b, 9000));
  t.is(await mtuOf(node, 'br0'), 9000);
  t.is(added.json.interfaces[0].mtu, 9000);
  const address = added.json.ips[0].address.split('/')[0];
  await node.run('busybox', ['ping', '-c', '1', '-W', '5', '-s', '8000', address], b);
  await node.succeed(t, 'CHECK', withResult(pod('a', a, 9000), added.json));
  await node.run('ip', ['link', 'set', 'br0', 'mtu', '1400']);
  const status = await node.call('STATUS', { ...pod('a', '', 9000), containerID: '', ifName: '' });
  t.is(status.json.code, 51);
  t.regex(
    status.json.msg,
    /^Bridge "br0" has MTU 1400, and its ports veth.*, veth.* have up to 9000: larger/,
  );
  const check = await node.call('CHECK', withResult(pod('a', a, 9000), added.json));
  t.regex(check.json.msg, /^Bridge "br0" has MTU 1400, less than 9000$/);
});

test('an ADD that fails gives the bridge its MTU back', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'mtu', '1400', 'up', 'type', 'bridge']);
  await node.run('ip', ['addr', 'add', '10.9.0.1/24', 'dev', 'br0']);
  await node.run('ip', ['link', 'add', 'port0', 'master', 'br0', 'mtu', '1400', 'type', 'veth']);
  const netns = await node.addPod('a');
  const call = { plugin: 'bridge', config: bridgeConfig(node, { mtu: 9000 }), netns };
  const { exitCode } = await node.call('ADD', call);
  t.is(exitCode, 1);
  t.is(await mtuOf(node, 'br0'), 1400);
});

test('without "mtu" a pod on a bridge with a small MTU comes, and the log says what vanishes', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'mtu', '1400', 'up', 'type', 'bridge']);
  const netns = await node.addPod('a');
  const { stderr } = await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config: bridgeConfig(node),
    netns,
  });
  t.regex(
    stderr,
    /"br0" has MTU 1400, the pod's interface 1500: larger frames vanish at the bridge/,
  );
});

test('bridge: a group address as MAC', refuses, 'bridge', {
  code: 7,
  message: /"runtimeConfig\.mac" "01:00:5e:00:00:01" is the address of a group or zero/,
  call: bridgeWith({ runtimeConfig: { mac: '01:00:5e:00:00:01' } }),
});
