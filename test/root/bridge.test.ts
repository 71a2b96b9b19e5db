import test from 'ava';
import { bridgeConfig, ipam } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

const L2 = { ipam: undefined, isDefaultGateway: false };

test('dual stack: addresses usable at once, gateways on the bridge, default routes of both families', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, {
    ipam: ipam(node, ['10.1.0.0/24', 'fd00:1::/64']),
    cniVersion: '1.1.0',
    mtu: 1400,
  });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.deepEqual(json.ips, [
    { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 2 },
    { address: 'fd00:1::2/64', gateway: 'fd00:1::1', interface: 2 },
  ]);
  t.deepEqual(Object.keys(json), ['cniVersion', 'interfaces', 'ips', 'routes']);
  t.deepEqual(Object.keys(json.interfaces[2]), ['mac', 'mtu', 'name', 'sandbox']);
  t.is(json.interfaces[2].mtu, 1400);
  for (const address of ['10.1.0.1', 'fd00:1::1']) {
    const seen = await sourceSeen({ from: netns, to: `/run/netns/${node.name}`, address });
    t.is(seen, address === '10.1.0.1' ? '10.1.0.2' : 'fd00:1::2');
  }
  t.is(await node.run('cat', ['/proc/sys/net/ipv4/ip_forward']), '1');
  t.is(await node.run('cat', ['/proc/sys/net/ipv6/conf/all/forwarding']), '1');
  await node.succeed(t, 'CHECK', {
    plugin: 'bridge',
    config: { ...config, prevResult: json },
    netns,
  });
  await node.succeed(t, 'DEL', {
    plugin: 'bridge',
    config: { ...config, prevResult: json },
    netns,
  });
  t.deepEqual(await node.links(), ['br0']);
});

test('a network without IPAM works, CHECK too', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, L2);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.is(json.ips, undefined);
  t.is((await node.ip('link show eth0', netns))[0].operstate, 'UP');
  await node.succeed(t, 'CHECK', {
    plugin: 'bridge',
    config: { ...config, prevResult: json },
    netns,
  });
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
  t.deepEqual(await node.links(), ['br0']);
});

test('a network without IPAM has no result in 0.2.0: ADD fails and leaves nothing', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ...L2, cniVersion: '0.2.0' });
  const netns = await node.addPod('a');
  const { json, exitCode } = await node.call('ADD', { plugin: 'bridge', config, netns });
  t.is(exitCode, 1);
  t.regex(json.msg, /cannot convert: no valid IP addresses/);
  t.deepEqual(await node.ip('link show type veth'), []);
});

test('disableContainerInterface leaves the interface down', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ...L2, disableContainerInterface: true });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.is((await node.ip('link show eth0', netns))[0].operstate, 'DOWN');
});

test('hairpinMode, portIsolation and promiscMode reach bridge and port', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const other = await node.addPod('b');
  const hairpin = bridgeConfig(node, { hairpinMode: true, portIsolation: true });
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config: hairpin, netns });
  const [port] = await node.ip('link show master br0');
  t.true(port.linkinfo.info_slave_data.hairpin);
  t.true(port.linkinfo.info_slave_data.isolated);
  await node.succeed(t, 'CHECK', {
    plugin: 'bridge',
    config: { ...hairpin, prevResult: json },
    netns,
  });
  const promisc = bridgeConfig(node, { promiscMode: true });
  await node.succeed(t, 'ADD', {
    plugin: 'bridge',
    config: promisc,
    netns: other,
    containerID: 'cid2',
  });
  t.true((await node.ip('link show br0'))[0].flags.includes('PROMISC'));
});

test('the hardware address: capability mac, then args.cni.mac, then CNI_ARGS', async (t) => {
  await using node = await TestNode.create();
  const asked = {
    args: { cni: { mac: '02:00:00:00:00:02' } },
    runtimeConfig: { mac: '02:00:00:00:00:03' },
  };
  const args = 'IgnoreUnknown=1;MAC=02:00:00:00:00:01;K8S_POD_NAME=x';
  const cases = [
    [{}, '02:00:00:00:00:01'],
    [{ args: asked.args }, '02:00:00:00:00:02'],
    [asked, '02:00:00:00:00:03'],
  ] as const;
  for (const [index, [more, mac]] of cases.entries()) {
    const netns = await node.addPod(`p${index}`);
    const config = bridgeConfig(node, more);
    const call = { plugin: 'bridge', config, netns, containerID: `c${index}`, args };
    const { json } = await node.succeed(t, 'ADD', call);
    t.is(json.interfaces[2].mac, mac);
    t.is((await node.ip('link show eth0', netns))[0].address, mac);
  }
});

test('another address of the bridge: replaced without ports or with forceAddress, else the known sentence', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'type', 'bridge']);
  await node.run('ip', ['addr', 'add', '10.9.0.1/24', 'dev', 'br0']);
  const netns = await node.addPod('a');
  const config = bridgeConfig(node);
  const healed = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.regex(
    healed.stderr,
    /bridge "br0" had 10\.9\.0\.1\/24 from an earlier subnet, replaced by 10\.1\.0\.1\/24/,
  );

  const moved = bridgeConfig(node, { ipam: ipam(node, ['10.2.0.0/24']), name: 'net2' });
  const other = await node.addPod('b');
  const call = { plugin: 'bridge', netns: other, containerID: 'cid2' };
  const refused = await node.call('ADD', { ...call, config: moved });
  t.regex(
    refused.json.msg,
    /^failed to set bridge addr: "br0" already has an IP address different from 10\.2\.0\.1\/24$/,
  );
  t.regex(refused.json.details, /it has 10\.1\.0\.1\/24, and these ports use it: veth[0-9a-f]{8}/);
  t.is((await node.ip('link show master br0')).length, 1, 'the failed ADD left no port');
  t.deepEqual(
    node.files('networks').filter((name) => name.startsWith('net2')),
    [],
  );
  await node.succeed(t, 'ADD', { ...call, config: { ...moved, forceAddress: true } });
});

test('a name that is taken by something else than a bridge is an error, and nothing changes', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'br0', 'type', 'veth', 'peer', 'name', 'other']);
  const netns = await node.addPod('a');
  const { json } = await node.call('ADD', { plugin: 'bridge', config: bridgeConfig(node), netns });
  t.is(json.msg, 'failed to create bridge "br0": "br0" already exists but is not a bridge');
  t.deepEqual(node.files('networks'), []);
});

test('a second ADD of an attachment is refused and disturbs nothing', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  const [before, rules] = [node.files('networks'), await node.rules()];
  const { json, exitCode } = await node.call('ADD', { plugin: 'bridge', config, netns });
  t.is(exitCode, 1);
  t.regex(json.msg, /container veth name \("eth0"\) already exists/);
  t.deepEqual(node.files('networks'), before);
  t.is(await node.rules(), rules);
  t.is(
    await sourceSeen({ from: netns, to: `/run/netns/${node.name}`, address: '10.1.0.1' }),
    '10.1.0.2',
  );
});

test('DEL without a namespace deletes the port that prevResult names, or its mark', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  const [port] = await node.ip('link show type veth');
  await node.run('ip', ['link', 'set', port.ifname, 'alias', '']);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config: { ...config, prevResult: json } });
  t.deepEqual(await node.links(), ['br0']);
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID: 'other' });
  t.is((await node.links()).length, 2, "another container's");
  await node.succeed(t, 'DEL', { plugin: 'bridge', config });
  t.deepEqual(await node.links(), ['br0']);
});

test('the port says whose it is, with names of any length', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  for (const [name, containerID] of [
    ['net1', 'cid1'],
    ['n'.repeat(200), 'c'.repeat(200)],
  ] as const) {
    const config = bridgeConfig(node, { ...L2, name });
    await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns, containerID });
    const [{ ifalias }] = await node.ip('link show type veth');
    t.true(ifalias.includes(`, id: ${containerID.slice(0, 80)}`), ifalias);
    t.true(ifalias.endsWith(` ${netns}`), ifalias);
    t.is(/, if: eth0, net: net1; /.test(ifalias), name === 'net1', ifalias);
    await node.succeed(t, 'DEL', { plugin: 'bridge', config, containerID });
    t.deepEqual(await node.links(), ['br0']);
  }
});

test('a route of IPAM keeps MTU, advmss, priority, table and scope', async (t) => {
  await using node = await TestNode.create();
  const routes = [
    { dst: '192.0.2.0/24', mtu: 1300, advmss: 1200, priority: 50 },
    { dst: '198.51.100.0/24', gw: '10.1.0.9', table: 100 },
    { dst: '203.0.113.0/24', gw: '10.1.0.1', scope: 0 },
  ];
  const config = bridgeConfig(node, { ipam: { ...ipam(node, ['10.1.0.0/24']), routes } });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  t.deepEqual(json.routes.slice(0, 3), routes);
  const [first] = await node.ip('route show 192.0.2.0/24', netns);
  t.deepEqual([first.metric, first.metrics], [50, [{ mtu: 1300, advmss: 1200 }]]);
  t.is((await node.ip('route show table 100', netns))[0].gateway, '10.1.0.9');
  await node.succeed(t, 'CHECK', {
    plugin: 'bridge',
    config: { ...config, prevResult: json },
    netns,
  });
});

test('enabledad waits for duplicate address detection', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipam: ipam(node, ['fd00:1::/64']), enabledad: true });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  const [{ addr_info: addresses }] = await node.ip('-6 addr show dev eth0', netns);
  const own = addresses.find(({ local }: { local: string }) => local === 'fd00:1::2');
  t.is(own.nodad, undefined);
  t.is(own.tentative, undefined);
});

test('an MTU that IPv6 does not allow: ADD says so and leaves nothing of the pod', async (t) => {
  await using node = await TestNode.create();
  const keys = { isDefaultGateway: false, mtu: 1279, ipam: ipam(node, ['fd00:1::/64']) };
  const netns = await node.addPod('a');
  const call = { plugin: 'bridge', config: bridgeConfig(node, keys), netns };
  const { json } = await node.call('ADD', call);
  t.regex(json.msg, /interface "eth0": its MTU is below 1280 bytes, and IPAM gave "fd00:1::2\/64"/);
  t.deepEqual(await node.links(), []);
  t.deepEqual(node.files('networks'), []);
});

test('VLAN keys: on a kernel with VLAN filtering they apply, on others ADD fails cleanly', async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, {
    vlan: 100,
    vlanTrunk: [{ id: 7 }, { minID: 200, maxID: 202 }],
  });
  const netns = await node.addPod('a');
  const { json, exitCode } = await node.call('ADD', { plugin: 'bridge', config, netns });
  if (exitCode === 1 && /failed to create bridge/.test(json.msg)) {
    t.log('this kernel has no bridge VLAN filtering: only the clean failure was tested');
    t.deepEqual(await node.links(), []);
    t.deepEqual(node.files('networks'), []);
    return;
  }
  const port = json.interfaces[1].name;
  const vlans = JSON.parse(await node.run('bridge', ['-j', 'vlan', 'show', 'dev', port])) as {
    vlans: { vlan: number }[];
  }[];
  t.deepEqual(
    vlans[0]?.vlans.map(({ vlan }) => vlan),
    [7, 100, 200, 201, 202],
  );
  t.is(json.interfaces[3].name, 'br0.100');
});
