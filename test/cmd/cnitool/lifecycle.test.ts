import { existsSync } from 'node:fs';
import test from 'ava';
import { BIN, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { cacheFiles, cnitool, writeNetwork } from './tool.ts';

/** A bridge network with a folder of the node's for its addresses. */
const bridgeNetwork = (node: TestNode, cniVersion: string, ...more: object[]) => ({
  cniVersion,
  name: 'blue',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipam: {
        type: 'host-local',
        dataDir: node.path('networks'),
        ranges: [[{ subnet: '10.1.0.0/24' }]],
      },
    },
    ...more,
  ],
});

const lifecycle = test.macro({
  async exec(t, path: string | undefined, cniVersion: string, ...more: object[]) {
    await using node = await TestNode.create();
    writeNetwork(node, '10-blue.conflist', bridgeNetwork(node, cniVersion, ...more));
    const pod = await node.addPod('a');
    const env = { CNI_PATH: path ?? BIN ?? '' };
    const added = await cnitool(node, ['add', 'blue', pod], env);
    t.is(added.exitCode, 0, added.stderr);
    t.like(JSON.parse(added.stdout), { cniVersion });
    const [{ addr_info: addresses }] = await node.ip('-4 addr show eth0', pod);
    t.is(addresses[0].local, '10.1.0.2');
    if (cniVersion !== '0.3.1') {
      const checked = await cnitool(node, ['check', 'blue', pod], env);
      t.is(checked.exitCode, 0, checked.stderr);
    }
    const again = await cnitool(node, ['add', 'blue', pod], env);
    t.is(again.exitCode, 1);
    t.regex(again.stderr, /plugin type="bridge" failed \(add\): /);
    const deleted = await cnitool(node, ['del', 'blue', pod], env);
    t.is(deleted.exitCode, 0, deleted.stderr);
    const twice = await cnitool(node, ['del', 'blue', pod], env);
    t.is(twice.exitCode, 0, twice.stderr);
    t.deepEqual(await node.links(), ['cni0']);
    t.deepEqual(cacheFiles(node), []);
    t.deepEqual(node.files('networks'), []);
  },
  title: (_, path: string | undefined, cniVersion: string, ...more: object[]) =>
    `add, check, del by ${path ?? 'our own plugins'} with ${cniVersion} ${JSON.stringify(more)}`,
});

test(lifecycle, undefined, '0.3.1');
test(lifecycle, undefined, '1.1.0');

if (existsSync(`${REFERENCE_BIN}/bridge`)) {
  test(lifecycle, REFERENCE_BIN, '0.3.1');
  test(lifecycle, REFERENCE_BIN, '1.0.0', { type: 'tuning', sysctl: {} }, { type: 'firewall' });
} else {
  console.log(
    `# skipped: the reference plugins are not in ${REFERENCE_BIN}; install containernetworking-plugins`,
  );
}

test('gc takes away what our own plugins made for a pod that is gone', async (t) => {
  await using node = await TestNode.create();
  writeNetwork(node, '10-blue.conflist', bridgeNetwork(node, '1.1.0'));
  const env = { CNI_PATH: BIN ?? '' };
  const added = await cnitool(node, ['add', 'blue', await node.addPod('a')], env);
  t.is(added.exitCode, 0, added.stderr);
  t.is(cacheFiles(node).length, 1);
  await node.deletePod('a');
  const collected = await cnitool(node, ['gc', 'blue', 'any'], env);
  t.is(collected.exitCode, 0, collected.stderr);
  t.deepEqual(cacheFiles(node), []);
  t.deepEqual(node.files('networks'), []);
});
