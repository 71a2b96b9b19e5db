import test, { type ExecutionContext } from 'ava';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { staticConfig } from '#test/configs.ts';
import { type CallOptions, folderOf, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { refuses, staticWith } from './refuses.ts';

const THEIRS = `${REFERENCE_BIN}/static`;
const NETNS = '/run/netns/unused';

const V4 = { address: '10.1.0.5/24', gateway: '10.1.0.1' };
const V6 = { address: 'fd00:1::5/64', gateway: 'fd00:1::1' };

/** A configuration with these addresses and nothing else. */
const addresses = (...list: object[]) => staticConfig({ ipam: { addresses: list } });

const result = (...ips: object[]) => ({ cniVersion: '1.0.0', ips });

async function ipsOf(t: ExecutionContext, options: Omit<CallOptions, 'plugin'>): Promise<unknown> {
  await using node = await TestNode.create();
  const { json } = await node.succeed(t, 'ADD', { plugin: 'static', netns: NETNS, ...options });
  return json.ips;
}

for (const version of SPEC_VERSIONS) {
  test(`${version}: addresses, routes and DNS of the configuration, as the reference answers`, async (t) => {
    await using node = await TestNode.create();
    const config = staticConfig({ cniVersion: version });
    const call = { plugin: 'static', config, netns: NETNS };
    const { json } = await node.succeed(t, 'ADD', call);
    if (version === '1.1.0') {
      t.deepEqual(json.ips, [V4, V6]);
      t.deepEqual(json.routes, [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]);
      t.deepEqual(json.dns, { nameservers: ['10.1.0.1'] });
    } else {
      const theirs = await node.succeed(t, 'ADD', { ...call, plugin: THEIRS });
      t.deepEqual(json, theirs.json);
    }
    await node.succeed(t, 'DEL', { ...call, netns: '' });
  });
}

test('IP in CNI_ARGS adds addresses, GATEWAY goes to every address whose subnet holds it', async (t) => {
  const ips = await ipsOf(t, {
    config: addresses({ address: '10.1.0.5/24' }, { address: '10.2.0.5/24', gateway: '10.2.0.9' }),
    args: 'IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.1.0.6/24, fd00:1::6/64;GATEWAY=10.1.0.1, fd00:1::1',
  });
  t.deepEqual(ips, [
    { address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { address: '10.2.0.5/24', gateway: '10.2.0.9' },
    { address: '10.1.0.6/24', gateway: '10.1.0.1' },
    { address: 'fd00:1::6/64', gateway: 'fd00:1::1' },
  ]);
});

test('args.cni.ips replaces ipam and CNI_ARGS, the capability ips replaces all', async (t) => {
  const args = 'IP=10.1.0.6/24;GATEWAY=10.1.0.1';
  const byArgs = { ...addresses(V4), args: { cni: { ips: ['10.1.0.7/24'] } } };
  t.deepEqual(await ipsOf(t, { config: byArgs, args }), [{ address: '10.1.0.7/24' }]);
  const byRuntime = { ...byArgs, runtimeConfig: { IPs: ['10.1.0.8/24', 'fd00:1::8/64'] } };
  t.deepEqual(await ipsOf(t, { config: byRuntime, args }), [
    { address: '10.1.0.8/24' },
    { address: 'fd00:1::8/64' },
  ]);
});

test('no address at all is accepted, and refused before 0.3.0, which has no such result', async (t) => {
  t.is(await ipsOf(t, { config: addresses() }), undefined);
  await using node = await TestNode.create();
  const config = { ...addresses(), cniVersion: '0.2.0' };
  const { json } = await node.call('ADD', { plugin: 'static', config, netns: NETNS });
  t.regex(json.msg, /cannot convert: no valid IP addresses/);
});

test('DEL succeeds with what ADD refuses, and without anything to read', async (t) => {
  await using node = await TestNode.create();
  const sections = [{ addresses: [{ address: 'x' }] }, { addresses: 7, routes: 'x' }, undefined];
  for (const ipam of sections) {
    const config = staticConfig({ ipam });
    t.is((await node.call('ADD', { plugin: 'static', config, netns: NETNS })).json.code, 7);
    await node.succeed(t, 'DEL', { plugin: 'static', config, args: 'IP=x' });
  }
});

test('CHECK compares addresses and gateways with the result', async (t) => {
  await using node = await TestNode.create();
  const check = (prevResult: object, config: object = addresses(V4)) =>
    node.call('CHECK', { plugin: 'static', config: { ...config, prevResult }, netns: NETNS });
  t.is((await check(result(V6, V4))).exitCode, 0);
  t.is((await check(result(V4), addresses({ address: V4.address }))).exitCode, 0);
  t.is(
    (await check(result({ ...V4, gateway: '10.1.0.2' }))).json.msg,
    'static: Failed to match addr 10.1.0.5/24 via 10.1.0.1 on interface eth0',
  );
  t.is(
    (await check(result(V6))).json.msg,
    'static: Failed to find addr 10.1.0.5/24 on interface eth0',
  );
});

test('the reference ptp asks our static, ours asks the reference: the same addresses', async (t) => {
  await using node = await TestNode.create();
  const ways = [
    [`${REFERENCE_BIN}/ptp`, `${folderOf(node, 'static')}:${REFERENCE_BIN}`],
    ['ptp', REFERENCE_BIN],
  ] as const;
  for (const [index, [plugin, path]] of ways.entries()) {
    const netns = await node.addPod(`p${index}`);
    const args = 'IP=10.1.0.6/24;GATEWAY=10.1.0.1';
    // Of two addresses in one subnet the reference ptp can't do the second.
    const config = staticConfig({ ipam: { type: 'static', routes: [{ dst: '0.0.0.0/0' }] } });
    const call = { plugin, path, netns, config, args };
    const { json } = await node.succeed(t, 'ADD', call);
    t.deepEqual(json.ips, [{ address: '10.1.0.6/24', gateway: '10.1.0.1', interface: 1 }]);
    await node.succeed(t, 'DEL', call);
    t.deepEqual(await node.links(), []);
  }
});

test('GC and STATUS succeed; STATUS tells of a configuration that ADD would refuse', async (t) => {
  await using node = await TestNode.create();
  const sound = staticConfig({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
  for (const command of ['GC', 'STATUS']) {
    await node.succeed(t, command, { plugin: 'static', config: sound });
  }
  const config = { ...sound, ipam: { addresses: [{ address: '10.1.0.5' }] } };
  t.is((await node.call('STATUS', { plugin: 'static', config })).json.code, 7);
  await node.succeed(t, 'GC', { plugin: 'static', config });
});

test('static: an address without prefix length', refuses, 'static', {
  code: 7,
  message: /the 'address' field is expected to be in CIDR notation, got: '10\.1\.0\.5'/,
  call: staticWith({ addresses: [{ address: '10.1.0.5' }] }),
});
test('static: a gateway that is none', refuses, 'static', {
  code: 7,
  message: /"ipam\.addresses\[0\]\.gateway" "x" is not an IP address/,
  call: staticWith({ addresses: [{ address: '10.1.0.5/24', gateway: 'x' }] }),
});
test('static: a route that is none', refuses, 'static', {
  code: 7,
  message: /"ipam\.routes\[0\]\.dst" "x" is not a CIDR prefix/,
  call: staticWith({ addresses: [V4], routes: [{ dst: 'x' }] }),
});
test('static: no ipam', refuses, 'static', {
  code: 7,
  message: /IPAM config missing 'ipam' key/,
  call: { config: staticConfig({ ipam: null }) },
});
test('static: a capability without prefix length', refuses, 'static', {
  code: 7,
  message: /an entry in the 'ips' field is NOT in CIDR notation, got: '10\.1\.0\.8'/,
  call: { config: staticConfig({ runtimeConfig: { ips: ['10.1.0.8'] } }) },
});
test('static: args.cni.ips without prefix length', refuses, 'static', {
  code: 7,
  message: /an entry in the 'ips' field is NOT in CIDR notation, got: 'fd00::8'/,
  call: { config: staticConfig({ args: { cni: { ips: ['fd00::8'] } } }) },
});
test('static: IP without prefix length', refuses, 'static', {
  code: 4,
  message: /the 'ip' field is expected to be in CIDR notation, got: '10\.1\.0\.6'.*CNI_ARGS/,
  call: { args: 'IP=10.1.0.6' },
});
test('static: a GATEWAY that is none', refuses, 'static', {
  code: 4,
  message: /invalid gateway address: 10\.1\.0\.1\/24/,
  call: { args: 'GATEWAY=10.1.0.1/24' },
});
test('static: an unknown key in CNI_ARGS', refuses, 'static', {
  code: 4,
  message: /ARGS: unknown args \["FOO"\]/,
  call: { args: 'FOO=1' },
});
test('static: two addresses of a family before 0.3.0', refuses, 'static', {
  code: 7,
  message: /CNI version 0\.2\.0 does not support more than 1 address per family/,
  call: { config: staticConfig({ cniVersion: '0.2.0', ipam: { addresses: [V4, V4] } }) },
});
test('static: CHECK without prevResult', refuses, 'static', {
  code: 7,
  message: /Required prevResult missing/,
  command: 'CHECK',
});
