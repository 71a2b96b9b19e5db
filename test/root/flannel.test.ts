import test from 'ava';
import { flannelConfig, SUBNET_ENV } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

test('ADD gives a pod what subnet.env says, DEL takes every trace away, twice', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
  t.is(json.cniVersion, '0.3.1');
  t.deepEqual(json.ips, [
    { version: '4', address: '10.244.1.2/24', gateway: '10.244.1.1', interface: 2 },
  ]);
  t.deepEqual(json.routes, [{ dst: '10.244.0.0/16' }, { dst: '0.0.0.0/0', gw: '10.244.1.1' }]);
  t.deepEqual(json.dns, {});
  const [link] = await node.ip('link show eth0', netns);
  t.is(link.mtu, 1450);
  const routes = (await node.ip('route show', netns)) as { dst: string; gateway?: string }[];
  t.deepEqual(routes.map(({ dst, gateway }) => `${dst} ${gateway ?? ''}`).toSorted(), [
    '10.244.0.0/16 10.244.1.1',
    '10.244.1.0/24 ',
    'default 10.244.1.1',
  ]);
  t.is(await sourceSeen({ from: netns, to: node.netns, address: '10.244.1.1' }), '10.244.1.2');
  t.deepEqual(node.files('flannel'), ['cid1', 'cid1:eth0']);

  await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
  t.deepEqual(await node.links(), ['cni0']);
  t.is(await node.rules(), '');
  t.deepEqual(node.files('flannel'), []);
  t.deepEqual(node.files('networks'), []);
  t.deepEqual(await node.ip('neigh show dev cni0'), []);
  await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
  await node.succeed(t, 'DEL', { plugin: 'flannel', config });
});

test('the saved delegate config is to the byte what the reference saves, but for the exemption and the evidence', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV.replace('IPMASQ=false', 'IPMASQ=true'));
  const netns = await node.addPod('a');
  const config = { ...flannelConfig(node), ipam: {} };
  // Without a folder of its own host-local would write to the machine's: a delegate that answers nothing stands in.
  node.writeProgram('empty/bridge', 'echo "{}"');
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns, path: node.path('empty') });
  const saved = await node.run('cat', [node.path('flannel/cid1')]);
  const evidence = /"cniSuite":\{"sandbox":"[^"]* \/run\/netns\/[^"]+"\},/;
  t.regex(saved, evidence);
  t.is(
    saved.replace(evidence, ''),
    '{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],' +
      '"routes":[{"dst":"10.244.0.0/16"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,' +
      '"mtu":1450,"name":"cbr0","type":"bridge"}',
  );
});

test('two attachments of one container keep their configurations apart', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node);
  const netns = await node.addPod('a');
  const eth1 = { ...config, delegate: { hairpinMode: true } };
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
  await node.succeed(t, 'ADD', { plugin: 'flannel', config: eth1, netns, ifName: 'eth1' });
  t.deepEqual(node.files('flannel'), ['cid1', 'cid1:eth0', 'cid1:eth1']);
  await node.succeed(t, 'DEL', { plugin: 'flannel', config: eth1, netns, ifName: 'eth1' });
  t.deepEqual(node.files('flannel'), ['cid1', 'cid1:eth0']);
  t.deepEqual(
    node.files('networks').filter((name) => !name.startsWith('.')),
    ['cbr0/10.244.1.2'],
  );
  await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
  t.deepEqual(node.files('flannel'), []);
});

test('a second ADD, which is refused, keeps what the first saved', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node);
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
  t.is((await node.call('ADD', { plugin: 'flannel', config, netns })).exitCode, 1);
  t.deepEqual(node.files('flannel'), ['cid1', 'cid1:eth0']);
  t.regex(await node.run('cat', [node.path('flannel/cid1')]), /"type":"bridge"/);
});

test('DEL works without subnet.env, with an empty and with a missing saved file', async (t) => {
  await using node = await TestNode.create();
  const config = flannelConfig(node);
  for (const spoil of ['rm', 'truncate -s0']) {
    node.writeFile('subnet.env', SUBNET_ENV);
    const netns = await node.addPod(spoil.slice(0, 2));
    await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
    await node.run('sh', [
      '-c',
      `${spoil} ${node.path('flannel')}/cid1*; rm ${node.path('subnet.env')}`,
    ]);
    await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
    t.deepEqual(await node.links(), ['cni0']);
    t.is(await node.rules(), '');
    t.deepEqual([...node.files('flannel'), ...node.files('networks')], []);
  }
});

test('a missing subnet.env is code 11, naming the file and what may be the matter', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const config = flannelConfig(node);
  const { json, exitCode } = await node.call('ADD', { plugin: 'flannel', config, netns });
  t.is(exitCode, 1);
  t.is(json.code, 11);
  t.regex(
    json.msg,
    /^failed to load flannel 'subnet.env' file: open .*\/subnet.env: no such file or directory\. Check/,
  );
  t.regex(json.details, /flanneld has not got a subnet/);
  t.deepEqual(await node.links(), []);
});

test('a subnet.env that appears while ADD waits is used', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const added = node.call('ADD', { plugin: 'flannel', config: flannelConfig(node), netns });
  setTimeout(() => node.writeFile('subnet.env', SUBNET_ENV), 700);
  t.is((await added).exitCode, 0);
});

test("a subnet.env that contradicts flannel's device or the bridge is code 11, and nothing is made", async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node);
  const netns = await node.addPod('a');
  await node.run('ip', ['link', 'add', 'flannel.1', 'type', 'vxlan', 'id', '1', 'dstport', '8472']);
  await node.run('ip', ['addr', 'add', '10.244.7.0/32', 'dev', 'flannel.1']);
  const device = await node.call('ADD', { plugin: 'flannel', config, netns });
  t.is(device.json.code, 11);
  t.regex(
    device.json.msg,
    /says this node's subnet is 10\.244\.1\.0\/24, but flannel's device "flannel\.1" has 10\.244\.7\.0/,
  );
  t.deepEqual(await node.links(), ['flannel.1']);

  await node.run('ip', ['link', 'del', 'flannel.1']);
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
  node.writeFile('subnet.env', SUBNET_ENV.replace('10.244.1.1', '10.244.2.1'));
  const other = await node.addPod('b');
  const bridge = await node.call('ADD', {
    plugin: 'flannel',
    config,
    netns: other,
    containerID: 'cid2',
  });
  t.is(bridge.json.code, 11);
  t.regex(
    bridge.json.msg,
    /"cni0" already has an IP address different from 10\.244\.2\.1\/24.*veth/,
  );
  // Without ports the address heals itself.
  await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns: other, containerID: 'cid2' });
  const [{ addr_info: addresses }] = await node.ip('-4 addr show cni0');
  t.deepEqual(
    addresses.map(({ local }: { local: string }) => local),
    ['10.244.2.1'],
  );
});

test('CHECK, GC and STATUS are passed on', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node, '1.1.0');
  const netns = await node.addPod('a');
  const other = await node.addPod('b');
  await node.succeed(t, 'STATUS', { plugin: 'flannel', config });
  const { json } = await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
  await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns: other, containerID: 'cid2' });
  await node.succeed(t, 'CHECK', withResult({ plugin: 'flannel', config, netns }, json));
  await node.run('ip', ['addr', 'del', '10.244.1.2/24', 'dev', 'eth0'], netns);
  const check = await node.call('CHECK', withResult({ plugin: 'flannel', config, netns }, json));
  t.regex(check.json.msg, /Failed to find "10\.244\.1\.2\/24" on interface "eth0"/);

  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'cid2', ifname: 'eth0' }] };
  await node.succeed(t, 'GC', { plugin: 'flannel', config });
  t.is(node.files('networks').filter((name) => name.startsWith('cbr0/')).length, 2);
  await node.succeed(t, 'GC', { plugin: 'flannel', config: { ...config, ...valid } });
  t.deepEqual(
    node.files('networks').filter((name) => name.startsWith('cbr0/')),
    ['cbr0/10.244.1.3'],
  );
  t.deepEqual(node.files('flannel'), ['cid2', 'cid2:eth0']);
  t.false((await node.rules()).includes('10.244.1.2'));
  t.true((await node.rules()).includes('10.244.1.3'));

  await node.run('rm', [node.path('subnet.env')]);
  const status = await node.call('STATUS', { plugin: 'flannel', config });
  t.is(status.json.code, 50);
});

for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
  test(`spec version ${cniVersion} works from ADD to DEL`, async (t) => {
    await using node = await TestNode.create();
    node.writeFile('subnet.env', SUBNET_ENV);
    const config = flannelConfig(node, cniVersion);
    const netns = await node.addPod('a');
    const { json } = await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns });
    t.is(json.cniVersion, cniVersion);
    const address = cniVersion < '0.3.0' ? json.ip4.ip : json.ips[0].address;
    t.is(address, '10.244.1.2/24');
    await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns });
    t.deepEqual(node.files('networks'), []);
  });
}

test('container IDs longer than a name of a file are added and deleted', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const netns = await node.addPod('a');
  const call = {
    plugin: 'flannel',
    config: flannelConfig(node, '1.0.0'),
    netns,
    containerID: 'c'.repeat(300),
  };
  const { json } = await node.succeed(t, 'ADD', call);
  await node.succeed(t, 'CHECK', withResult(call, json));
  await node.succeed(t, 'DEL', call);
  t.deepEqual([...node.files('flannel'), ...node.files('networks')], []);
});
