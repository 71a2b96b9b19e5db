import test from 'ava';
import { bridgeConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

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
