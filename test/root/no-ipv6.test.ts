/**
 * A node whose kernel was booted without IPv6 (ipv6.disable=1): networks of IPv4 work whole, ranges of IPv6 are refused by name.
 * `npm run test:kernels -- --ipv6=off` boots such kernels.
 */
import test, { type ExecutionContext } from 'ava';
import {
  bridgeConfig,
  chainedConfig,
  flannelConfig,
  hostLocalConfig,
  ipam,
  ptpConfig,
  SUBNET_ENV,
} from '#test/configs.ts';
import { HAS_IPV6, skip } from '#test/kernel.ts';
import { TestNode } from '#test/node.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';

/** A test on a node without IPv6. */
const withoutIpv6 = (title: string, run: (t: ExecutionContext, node: TestNode) => Promise<void>) =>
  test(title, async (t) => {
    if (HAS_IPV6) {
      skip(t, 'this kernel has IPv6');
      return;
    }
    await using node = await TestNode.create();
    await run(t, node);
  });

interface Added {
  readonly netns: string;
  /** The result of ADD. */
  // oxlint-disable-next-line typescript/no-explicit-any -- results differ by plugin
  readonly result: any;
  readonly call: { plugin: string; config: object; netns: string };
}

/** ADD and CHECK of a pod. */
async function addAndCheck(
  t: ExecutionContext,
  node: TestNode,
  plugin: string,
  config: object,
  netns?: string,
): Promise<Added> {
  const call = { plugin, config, netns: netns ?? (await node.addPod('a')) };
  const { json: result } = await node.succeed(t, 'ADD', call);
  await node.succeed(t, 'CHECK', { ...call, config: { ...config, prevResult: result } });
  return { netns: call.netns, result, call };
}

/** DEL twice, and once more without the namespace. */
async function deleteTwice(t: ExecutionContext, node: TestNode, { call, result }: Added) {
  const config = { ...call.config, prevResult: result };
  await node.succeed(t, 'DEL', { ...call, config });
  await node.succeed(t, 'DEL', { ...call, config });
  await node.succeed(t, 'DEL', { ...call, config, netns: '' });
}

withoutIpv6('loopback', async (t, node) => {
  const netns = await node.addPod('a');
  await node.run('ip', ['link', 'set', 'lo', 'down'], netns);
  const config = { cniVersion: '1.0.0', name: 'lo', type: 'loopback' };
  const call = { plugin: 'loopback', config, netns, ifName: 'lo' };
  const { json } = await node.succeed(t, 'ADD', call);
  t.deepEqual(json.ips, [{ address: '127.0.0.1/8', interface: 0 }]);
  await node.succeed(t, 'CHECK', { ...call, config: { ...config, prevResult: json } });
  t.true((await node.ip('link show lo', netns))[0].flags.includes('UP'));
  await node.succeed(t, 'DEL', call);
  await node.succeed(t, 'DEL', call);
  t.false((await node.ip('link show lo', netns))[0].flags.includes('UP'));
});

withoutIpv6('host-local', async (t, node) => {
  const config = hostLocalConfig(node, ['10.1.0.0/24']);
  const added = await addAndCheck(t, node, 'host-local', config, '/run/netns/none');
  t.is(added.result.ips[0].address, '10.1.0.2/24');
  await deleteTwice(t, node, added);
  t.deepEqual(node.files('networks'), []);
});

withoutIpv6('bridge, masquerading: traffic to the gateway and beyond', async (t, node) => {
  const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  const added = await addAndCheck(t, node, 'bridge', bridgeConfig(node, { ipMasq: true }));
  const { netns } = added;
  const host = `/run/netns/${node.name}`;
  t.is(await sourceSeen({ from: netns, to: host, address: '10.1.0.1' }), '10.1.0.2');
  t.is(await sourceSeen({ from: netns, to: outside, address: '192.0.2.1' }), '192.0.2.254');
  const config = { ...added.call.config, cniVersion: '1.1.0' };
  await node.succeed(t, 'STATUS', { plugin: 'bridge', config });
  await deleteTwice(t, node, added);
  t.deepEqual((await node.links()).toSorted(), ['br0', 'lan0']);
  t.is(await node.rules(), '');
  t.deepEqual(node.files('networks'), []);
});

withoutIpv6('ptp, masquerading by iptables: traffic to the host and beyond', async (t, node) => {
  const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  const config = ptpConfig(node, { ipMasqBackend: 'iptables' });
  const added = await addAndCheck(t, node, 'ptp', config);
  const { netns } = added;
  const host = `/run/netns/${node.name}`;
  t.is(await sourceSeen({ from: netns, to: host, address: '10.1.0.1' }), '10.1.0.2');
  t.is(await sourceSeen({ from: netns, to: outside, address: '192.0.2.1' }), '192.0.2.254');
  await deleteTwice(t, node, added);
  t.deepEqual(await node.links(), ['lan0']);
  t.notRegex(await node.run('iptables-save', ['-t', 'nat']), /CNI|10\.1\./);
  t.deepEqual(node.files('networks'), []);
});

withoutIpv6('flannel, and portmap by either backend after it', async (t, node) => {
  node.writeFile('subnet.env', SUBNET_ENV);
  const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  const added = await addAndCheck(t, node, 'flannel', flannelConfig(node, '1.0.0'));
  const { netns, result } = added;
  t.is(result.ips[0].address, '10.244.1.2/24');
  for (const backend of ['nftables', 'iptables']) {
    const config = chainedConfig('portmap', {
      backend,
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
      prevResult: result,
    });
    const mapped = await addAndCheck(t, node, 'portmap', config, netns);
    const way = { to: netns, port: 8080, serverPort: 80 };
    t.is(await sourceSeen({ from: outside, address: '192.0.2.254', ...way }), '192.0.2.1', backend);
    await deleteTwice(t, node, mapped);
    t.notRegex(await node.rules(), /8080|CNI-DN|cni_portmap/, backend);
  }
  await deleteTwice(t, node, added);
  t.deepEqual((await node.links()).toSorted(), ['cni0', 'lan0']);
  t.deepEqual(node.files('flannel'), []);
  t.deepEqual(node.files('networks'), []);
});

const DUAL_STACK = ['10.1.0.0/24', 'fd00:1::/64'];

for (const [plugin, configure] of Object.entries({ bridge: bridgeConfig, ptp: ptpConfig })) {
  withoutIpv6(
    `${plugin}: a range of IPv6 is refused by name, and nothing is left`,
    async (t, node) => {
      const config = configure(node, { ipMasq: true, ipam: ipam(node, DUAL_STACK) });
      const netns = await node.addPod('a');
      const { exitCode, json } = await node.call('ADD', { plugin, config, netns });
      t.is(exitCode, 1);
      t.regex(json.msg, /this kernel has no IPv6, and IPAM gave "fd00:1::2\/64"/);
      t.regex(json.details, /take the IPv6 range out of the network configuration/);
      t.deepEqual(await node.links(), []);
      t.deepEqual((await node.ip('link show', netns)).length, 1, 'lo alone');
      t.is(await node.rules(), '');
      t.deepEqual(node.files('networks'), []);
      await node.succeed(t, 'DEL', { plugin, config, netns });
    },
  );
}
