import test from 'ava';
import { bridgeConfig, flannelConfig, SUBNET_ENV } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

test('50 ADDs at once on a fresh node: distinct addresses, one bridge, every pod reachable; then all gone', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node, '1.0.0');
  const pods = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => ({
      containerID: `c${index}`,
      netns: await node.addPod(`p${index}`),
    })),
  );
  const answers = await Promise.all(
    pods.map((pod) => node.succeed(t, 'ADD', { plugin: 'flannel', config, ...pod })),
  );
  t.is(new Set(answers.map(({ json }) => json.ips[0].address)).size, 50);
  t.is(new Set(answers.map(({ json }) => json.interfaces[0].mac)).size, 1);
  const [{ addr_info: addresses }] = await node.ip('-4 addr show cni0');
  t.deepEqual(
    addresses.map(({ local }: { local: string }) => local),
    ['10.244.1.1'],
  );
  const [first] = pods;
  for (const { json } of answers.slice(1, 6)) {
    const [address] = json.ips[0].address.split('/');
    const to = json.interfaces[2].sandbox;
    t.is(
      await sourceSeen({ from: first?.netns ?? '', to, address }),
      answers[0]?.json.ips[0].address.split('/')[0],
    );
  }
  // Two DELs of each pod at the same time, as kubelet may send them.
  await Promise.all(
    [...pods, ...pods].map((pod) => node.succeed(t, 'DEL', { plugin: 'flannel', config, ...pod })),
  );
  t.deepEqual(await node.links(), ['cni0']);
  t.is(await node.rules(), '');
  t.deepEqual([...node.files('networks'), ...node.files('flannel')], []);
});

test('a failed ADD beside others on a fresh node takes no bridge away that they use', async (t) => {
  await using node = await TestNode.create();
  // Two addresses: of eight ADDs six fail.
  const config = bridgeConfig(node, {
    ipam: {
      type: 'host-local',
      dataDir: node.path('networks'),
      subnet: '10.1.0.0/29',
      rangeStart: '10.1.0.2',
      rangeEnd: '10.1.0.3',
    },
  });
  const pods = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => ({
      containerID: `c${index}`,
      netns: await node.addPod(`p${index}`),
    })),
  );
  const answers = await Promise.all(
    pods.map((pod) => node.call('ADD', { plugin: 'bridge', config, ...pod })),
  );
  const added = answers.filter(({ exitCode }) => exitCode === 0);
  t.is(added.length, 2);
  t.regex(
    answers.find(({ exitCode }) => exitCode === 1)?.json.msg,
    /no IP addresses available in range set: 10\.1\.0\.2-10\.1\.0\.3/,
  );
  t.is((await node.ip('link show master br0')).length, 2);
});
