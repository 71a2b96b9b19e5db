import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { ipam, ptpConfig, staticConfig } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { config, refuses } from './refuses.ts';

async function leavesNothing(t: ExecutionContext, node: TestNode): Promise<void> {
  t.deepEqual(await node.links(), []);
  t.notRegex(await node.rules(), /10\.1\.0\.|fd00:1::|CNI-/);
  t.deepEqual(await node.ip('route show'), []);
  t.deepEqual(node.files('networks'), []);
}

const dualStack = (node: TestNode, more: object = {}) =>
  ptpConfig(node, {
    cniVersion: '1.1.0',
    ipam: {
      ...ipam(node, ['10.1.0.0/24', 'fd00:1::/64']),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    },
    ...more,
  });

/** An IPAM plugin that answers this and notes how it was called. */
function addIpam(node: TestNode, answer: object): void {
  const script = `echo "$CNI_COMMAND" >>${node.path('calls')}
[ "$CNI_COMMAND" = ADD ] && echo '${JSON.stringify(answer)}'
exit 0`;
  node.writeProgram('empty/odd', script);
}

test('dual stack: reachable at once in both directions, also over IPv6, and from pod to pod', async (t) => {
  await using node = await TestNode.create();
  const conf = dualStack(node, { mtu: 1400 });
  const host = node.netns;
  const [a, b] = [await node.addPod('a'), await node.addPod('b')];
  const call = { plugin: 'ptp', config: conf };
  const { json } = await node.succeed(t, 'ADD', { ...call, netns: a });
  for (const netns of [a, host]) {
    // With duplicate address detection it would be a second or two until nothing is tentative any more.
    t.is(await node.run('ip', ['-6', 'addr', 'show', 'tentative'], netns), '');
  }
  t.is(await sourceSeen({ from: a, to: host, address: 'fd00:1::1' }), 'fd00:1::2');
  t.is(await sourceSeen({ from: host, to: a, address: 'fd00:1::2' }), 'fd00:1::1');
  t.is(await sourceSeen({ from: a, to: host, address: '10.1.0.1' }), '10.1.0.2');
  t.is(await sourceSeen({ from: host, to: a, address: '10.1.0.2' }), '10.1.0.1');
  await node.succeed(t, 'ADD', { ...call, netns: b, containerID: 'cid2' });
  t.is(await sourceSeen({ from: a, to: b, address: 'fd00:1::3' }), 'fd00:1::2');
  t.is(await sourceSeen({ from: b, to: a, address: '10.1.0.2' }), '10.1.0.3');
  t.is(await node.run('cat', ['/proc/sys/net/ipv4/ip_forward']), '1');
  t.is(await node.run('cat', ['/proc/sys/net/ipv6/conf/all/forwarding']), '1');
  t.deepEqual(json.ips, [
    { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 },
    { address: 'fd00:1::2/64', gateway: 'fd00:1::1', interface: 1 },
  ]);
  t.deepEqual(Object.keys(json.interfaces[0]), ['mac', 'mtu', 'name']);
  t.is(json.interfaces[1].mtu, 1400);
  t.is((await node.ip('link show eth0', a))[0].mtu, 1400);
});

test('only the families of the pod are forwarded', async (t) => {
  await using node = await TestNode.create();
  await node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0']);
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: ptpConfig(node), netns });
  t.is(await node.run('cat', ['/proc/sys/net/ipv4/ip_forward']), '1');
  t.is(await node.run('cat', ['/proc/sys/net/ipv6/conf/all/forwarding']), '0');
});

test('what leaves the subnet is masqueraded, but for nonMasqueradeCIDRs', async (t) => {
  await using node = await TestNode.create();
  const to = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  await node.run('ip', ['addr', 'add', '10.200.0.1/32', 'dev', 'lan0'], to);
  await node.run('ip', ['route', 'add', '10.200.0.0/16', 'via', '192.0.2.1']);
  const netns = await node.addPod('a');
  const conf = ptpConfig(node, { nonMasqueradeCIDRs: ['10.200.0.0/16'] });
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  t.is(await sourceSeen({ from: netns, to, address: '192.0.2.1' }), '192.0.2.254');
  t.is(await sourceSeen({ from: netns, to, address: '10.200.0.1' }), '10.1.0.2');
});

test('DEL from network, container and interface alone, and once more; the DNS settings are ours', async (t) => {
  await using node = await TestNode.create();
  const dns = { nameservers: ['10.1.0.53'] };
  const conf = dualStack(node, { dns });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  t.deepEqual(json.dns, dns);
  await node.succeed(t, 'DEL', { plugin: 'ptp', config: conf, netns });
  await leavesNothing(t, node);
  await node.succeed(t, 'DEL', { plugin: 'ptp', config: conf, netns: '' });
});

test('DEL when the namespace is gone, or its path alone and prevResult names the host end', async (t) => {
  await using node = await TestNode.create();
  const conf = dualStack(node);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  const prevResult = { config: { ...conf, prevResult: json } };
  await node.succeed(t, 'DEL', { plugin: 'ptp', ...prevResult, netns: '' });
  await leavesNothing(t, node);
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  await node.deletePod('a');
  await node.succeed(t, 'DEL', { plugin: 'ptp', config: conf, netns });
  await leavesNothing(t, node);
});

test('a second ADD of an attachment is refused and disturbs nothing', async (t) => {
  await using node = await TestNode.create();
  const conf = ptpConfig(node);
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  const before = [node.files('networks'), await node.rules(), await node.links()];
  const { json } = await node.call('ADD', { plugin: 'ptp', config: conf, netns });
  t.is(json.msg, 'container veth name ("eth0") already exists');
  t.deepEqual([node.files('networks'), await node.rules(), await node.links()], before);
});

test('a host route that a former pod left goes to the new one', async (t) => {
  await using node = await TestNode.create();
  await node.run('ip', ['link', 'add', 'stray', 'up', 'type', 'veth', 'peer', 'name', 'other']);
  await node.run('ip', ['route', 'add', '10.1.0.2/32', 'dev', 'stray', 'scope', 'host']);
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: ptpConfig(node), netns });
  const host = node.netns;
  t.is(await sourceSeen({ from: host, to: netns, address: '10.1.0.2' }), '10.1.0.1');
});

test('addresses of one subnet with one gateway, and an address that is all of its subnet', async (t) => {
  await using node = await TestNode.create();
  const gateway = '10.1.0.1';
  const addresses = ['10.1.0.5/24', '10.1.0.6/24', '10.7.0.1/32'].map((address) => ({
    address,
    gateway,
  }));
  const conf = staticConfig({ ipam: { type: 'static', addresses } });
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  const host = node.netns;
  for (const address of ['10.1.0.5', '10.1.0.6', '10.7.0.1']) {
    t.is(await sourceSeen({ from: host, to: netns, address }), gateway);
  }
  const check = withResult({ plugin: 'ptp', config: conf, netns }, json);
  await node.succeed(t, 'CHECK', check);
});

test('CHECK names what is not as ADD left it, on either end', async (t) => {
  await using node = await TestNode.create();
  const conf = ptpConfig(node);
  const netns = await node.addPod('a');
  const { json } = await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  const call = withResult({ plugin: 'ptp', config: conf, netns }, json);
  const [{ name }] = json.interfaces;
  await node.succeed(t, 'CHECK', call);
  const breaks: [string, string, string][] = [
    ['nft', 'flush ruleset', 'Masquerading of 10.1.0.2 is missing or was changed'],
    [
      'ip',
      `route del 10.1.0.2/32 dev ${name}`,
      `Expected route "10.1.0.2/32 via none dev ${name}" not found`,
    ],
    [
      'ip',
      `addr del 10.1.0.1/32 dev ${name}`,
      `Host interface "${name}" does not have the gateway's address 10.1.0.1/32`,
    ],
    ['ip', `link set ${name} down`, `Host interface "${name}" is down`],
  ];
  for (const [program, args, message] of breaks) {
    await node.run(program, args.split(' '));
    t.is((await node.call('CHECK', call)).json.msg, message);
  }
  const inside: [string, string][] = [
    [
      'route replace 10.1.0.0/24 via 10.1.0.1',
      'Expected route "10.1.0.0/24 via 10.1.0.1 dev eth0" not found',
    ],
    ['addr del 10.1.0.2/24 dev eth0', 'Failed to find "10.1.0.2/24" on interface "eth0"'],
    ['link set eth0 down', 'Container interface "eth0" is down'],
  ];
  for (const [args, message] of inside) {
    await node.run('ip', args.split(' '), netns);
    t.is((await node.call('CHECK', call)).json.msg, message);
  }
  await node.succeed(t, 'DEL', call);
  await leavesNothing(t, node);
});

test('GC deletes what is not valid, STATUS asks IPAM', async (t) => {
  await using node = await TestNode.create();
  const conf = ptpConfig(node, { cniVersion: '1.1.0', ipam: ipam(node, ['10.1.0.0/30']) });
  const netns = await node.addPod('a');
  await node.succeed(t, 'STATUS', { plugin: 'ptp', config: conf });
  await node.succeed(t, 'ADD', { plugin: 'ptp', config: conf, netns });
  t.is((await node.call('STATUS', { plugin: 'ptp', config: conf })).json.code, 50);
  const gc = (...ids: string[]) => ({
    plugin: 'ptp',
    config: {
      ...conf,
      'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'eth0' })),
    },
  });
  await node.succeed(t, 'GC', gc('cid1'));
  t.regex(await node.rules(), /10\.1\.0\.2/);
  await node.succeed(t, 'GC', gc());
  t.notRegex(await node.rules(), /10\.1\.0\.2/);
  t.deepEqual(node.files('networks'), []);
  await node.succeed(t, 'STATUS', { plugin: 'ptp', config: conf });
});

for (const [what, ips, message] of [
  ['no gateway', [{ address: '10.1.0.2/24' }], /IPAM plugin returned no gateway for "10\.1\.0\.2/],
  ['no addresses', [], /^IPAM plugin returned missing IP config$/],
] as const) {
  test(`an IPAM answer with ${what} is refused, the address given back`, async (t) => {
    await using node = await TestNode.create();
    addIpam(node, { cniVersion: '1.0.0', ips });
    const netns = await node.addPod('a');
    const conf = ptpConfig(node, { ipam: { type: 'odd' } });
    const path = node.path('empty');
    const { json } = await node.call('ADD', { plugin: 'ptp', config: conf, netns, path });
    t.regex(json.msg, message);
    t.is(readFileSync(node.path('calls'), 'utf8'), 'ADD\nDEL\n');
    t.deepEqual(await node.links(), []);
  });
}

test('an ADD that fails at its last step leaves nothing', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const conf = dualStack(node, { ipMasqBackend: 'iptables' });
  node.writeProgram('empty/iptables-restore', 'echo no luck >&2; exit 1');
  const env = { PATH: `${node.path('empty')}:${process.env['PATH']}` };
  const call = { plugin: 'ptp', config: conf, netns, env };
  const { json } = await node.call('ADD', call);
  t.regex(json.msg, /^failed to set up masquerading: .*no luck/);
  t.deepEqual(await node.ip('link show type veth', netns), []);
  await leavesNothing(t, node);
});

test('ptp: no IPAM plugin', refuses, 'ptp', {
  code: 7,
  message: /ptp needs an IPAM plugin: "ipam\.type" is missing/,
  call: config((node) => ptpConfig(node, { ipam: {} })),
});
test('ptp: an IPAM plugin that is ptp', refuses, 'ptp', {
  code: 7,
  message: /Plugins delegate to each other in a circle/,
  call: config((node) => ptpConfig(node, { ipam: { type: 'ptp' } })),
});
test('ptp: an IPAM plugin that answers with an interface of its own', refuses, 'ptp', {
  code: 999,
  message: /IPAM plugin returned no gateway for "127\.0\.0\.1\/8"/,
  call: config((node) => ptpConfig(node, { ipam: { type: 'loopback' } })),
});
test('ptp: static addresses without gateway', refuses, 'ptp', {
  code: 999,
  message: /IPAM plugin returned no gateway for "10\.1\.0\.5\/24".*name one in "ipam"/,
  call: config((node) =>
    ptpConfig(node, { ipam: { type: 'static', addresses: [{ address: '10.1.0.5/24' }] } }),
  ),
});
test('ptp: an MTU that is too large', refuses, 'ptp', {
  code: 7,
  message: /"mtu" must be at most 65535, not 70000/,
  call: config((node) => ptpConfig(node, { mtu: 70_000 })),
});
test('ptp: an MTU that IPv6 does not work with', refuses, 'ptp', {
  code: 7,
  message: /"fd00:1::2\/64": IPv6 needs an MTU of at least 1280 bytes, and the key "mtu" is 600/,
  call: config((node) => dualStack(node, { mtu: 600 })),
});
test('ptp: an unknown backend', refuses, 'ptp', {
  code: 7,
  message: /"ipMasqBackend" must be "nftables" or "iptables"/,
  call: config((node) => ptpConfig(node, { ipMasqBackend: 'ebtables' })),
});
test('ptp: CHECK without prevResult', refuses, 'ptp', {
  code: 999,
  message: /Failed to find address added by container cid1/,
  command: 'CHECK',
});
test('ptp: CHECK at the end of a chain that made no interface', refuses, 'ptp', {
  code: 999,
  message: /prevResult has no interface "eth0"/,
  command: 'CHECK',
  call: config((node) =>
    ptpConfig(node, {
      ipam: {},
      prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.1.0.2/24' }] },
    }),
  ),
});
