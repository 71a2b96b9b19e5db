/** Our plugins beside the reference plugins of Debian's package containernetworking-plugins, in both directions. */
import { existsSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { bridgeConfig, flannelConfig, hostLocalConfig, SUBNET_ENV } from '#test/configs.ts';
import { folderOf, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

const reference = (name: string) => `${REFERENCE_BIN}/${name}`;

test.before((t) => {
  t.true(existsSync(reference('bridge')), 'the package containernetworking-plugins is needed');
});

async function leavesNothing(t: ExecutionContext, node: TestNode, bridge: string): Promise<void> {
  t.deepEqual(await node.links(), [bridge]);
  t.notRegex(await node.rules(), /CNI-|masquerade|10\.1\.0\.|10\.244\./);
  t.deepEqual(node.files('networks'), []);
}

test('our flannel delegates to the reference bridge, which asks our host-local', async (t) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = flannelConfig(node, '1.0.0');
  const netns = await node.addPod('a');
  await node.run('mkdir', ['-p', node.path('mixed')]);
  await node.run('ln', ['-s', reference('bridge'), node.path('mixed/bridge')]);
  const path = `${node.path('mixed')}:${folderOf(node, 'host-local')}`;
  const { json } = await node.succeed(t, 'ADD', { plugin: 'flannel', config, netns, path });
  t.is(json.ips[0].address, '10.244.1.2/24');
  t.regex(await node.rules(), /CNI-[0-9a-f]{24}/, 'the reference bridge masquerades with iptables');
  await node.succeed(t, 'DEL', { plugin: 'flannel', config, netns, path });
  await leavesNothing(t, node, 'cni0');
  t.deepEqual(node.files('flannel'), []);
});

for (const [adds, deletes] of [
  [reference('bridge'), 'bridge'],
  ['bridge', reference('bridge')],
] as const) {
  const way =
    adds === 'bridge' ? 'ours adds, the reference deletes' : 'the reference adds, ours deletes';
  for (const netnsGone of [false, true]) {
    test(`bridge: ${way}${netnsGone ? ', without the namespace' : ''}`, async (t) => {
      await using node = await TestNode.create();
      const path = `${folderOf(node, 'host-local')}:${REFERENCE_BIN}`;
      // iptables' rules are what either understands of the other's.
      const config = bridgeConfig(node, { ipMasq: true, ipMasqBackend: 'iptables' });
      const netns = await node.addPod('a');
      await node.succeed(t, 'ADD', { plugin: adds, config, netns, path });
      t.is(await sourceSeen({ from: netns, to: node.netns, address: '10.1.0.1' }), '10.1.0.2');
      t.regex(await node.rules(), /chain CNI-[0-9a-f]{24}/);
      if (netnsGone) await node.deletePod('a');
      await node.succeed(t, 'DEL', { plugin: deletes, config, netns, path });
      // Without the namespace the reference plugin leaks its own rules too.
      if (netnsGone && deletes !== 'bridge')
        t.deepEqual(node.files('networks').filter(isReservation), []);
      else await leavesNothing(t, node, 'br0');
    });
  }
}

const isReservation = (name: string): boolean => !name.startsWith('.');

test('CHECK accepts what the reference bridge made', async (t) => {
  await using node = await TestNode.create();
  const path = `${folderOf(node, 'host-local')}:${REFERENCE_BIN}`;
  const config = bridgeConfig(node, { ipMasq: true });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', {
    plugin: reference('bridge'),
    config,
    netns,
    path,
  });
  const check = { plugin: 'bridge', config: { ...config, prevResult: json }, netns, path };
  await node.succeed(t, 'CHECK', check);
  await node.run('iptables', ['-t', 'nat', '-F', 'POSTROUTING']);
  t.regex((await node.call('CHECK', check)).json.msg, /Masquerading of 10\.1\.0\.2 is missing/);
});

test("our DEL removes the reference nftables backend's rule", async (t) => {
  await using node = await TestNode.create();
  const config = bridgeConfig(node, { ipMasq: true });
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'bridge', config, netns });
  // As plugins 1.6 and later write it; Debian has an older release.
  const tags = /[0-9a-f]{16}-[0-9a-f]{16}/.exec(await node.rules())?.[0] ?? '';
  const comment = `${tags}, net: net1, if: eth0, id: cid1`;
  await node.run('nft', [
    '-f',
    node.writeFile(
      'rules.nft',
      `
    table inet cni_plugins_masquerade {
      chain masq_checks {
        ip saddr == 10.1.0.2 ip daddr != 10.1.0.0/24 masquerade comment "${comment}"
        ip saddr == 10.1.0.9 ip daddr != 10.1.0.0/24 masquerade comment "${tags.replace(/-.*/, '-0123456789abcdef')}, of another pod"
      }
    }`,
    ),
  ]);
  await node.succeed(t, 'DEL', { plugin: 'bridge', config, netns });
  const rules = await node.rules();
  t.notRegex(rules, /10\.1\.0\.2/);
  t.regex(rules, /10\.1\.0\.9/);
});

test('host-local: each releases what the other reserved, and the round goes on', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/29']);
  const add = async (plugin: string, containerID: string) =>
    (await node.succeed(t, 'ADD', { plugin, config, containerID, netns: '/x' })).json.ips[0]
      .address;
  t.is(await add('host-local', 'a'), '10.1.0.2/29');
  t.is(await add(reference('host-local'), 'b'), '10.1.0.3/29');
  t.is(await add('host-local', 'c'), '10.1.0.4/29');
  t.is(readFileSync(node.path('networks/net1/10.1.0.4'), 'latin1'), 'c\r\neth0');
  await node.succeed(t, 'DEL', { plugin: reference('host-local'), config, containerID: 'a' });
  await node.succeed(t, 'DEL', { plugin: 'host-local', config, containerID: 'b' });
  t.deepEqual(node.files('networks').filter(isReservation), ['net1/10.1.0.4']);
  t.is(await add('host-local', 'a'), '10.1.0.5/29');
  // A second ADD is refused whoever made the first.
  await add(reference('host-local'), 'd');
  const second = await node.call('ADD', {
    plugin: 'host-local',
    config,
    containerID: 'd',
    netns: '/x',
  });
  t.regex(
    second.json.msg,
    /10\.1\.0\.6 has been allocated to d, duplicate allocation is not allowed/,
  );
});

test('host-local: both suites at once on one folder, 200 addresses, no duplicate, none lost', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/23']);
  const addresses: string[] = [];
  const containers = Array.from({ length: 200 }, (_, index) => index);
  const workers = Array.from({ length: 8 }, async () => {
    for (let index = containers.shift(); index !== undefined; index = containers.shift()) {
      const plugin = index % 2 === 0 ? 'host-local' : reference('host-local');
      const { json } = await node.succeed(t, 'ADD', {
        plugin,
        config,
        containerID: `c${index}`,
        netns: '/x',
      });
      addresses.push(json.ips[0].address);
    }
  });
  await Promise.all(workers);
  t.is(new Set(addresses).size, 200);
  t.is(node.files('networks').filter(isReservation).length, 200);
  const gone = Array.from({ length: 200 }, (_, index) => index);
  const cleaners = Array.from({ length: 8 }, async () => {
    for (let index = gone.shift(); index !== undefined; index = gone.shift()) {
      const plugin = index % 3 === 0 ? 'host-local' : reference('host-local');
      await node.succeed(t, 'DEL', { plugin, config, containerID: `c${index}` });
    }
  });
  await Promise.all(cleaners);
  t.deepEqual(node.files('networks').filter(isReservation), []);
});
