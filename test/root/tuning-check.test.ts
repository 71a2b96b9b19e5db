/** tuning: CHECK, GC, STATUS and the administrator's list. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { type CallOptions, ownProgram, TestNode } from '#test/node.ts';

const SYSCTLS = {
  'net.core.somaxconn': '77',
  'net.ipv4.ip_local_port_range': '2000 3000',
};

const ALL = {
  mac: '02:11:11:11:11:11',
  promisc: true,
  mtu: 1400,
  allmulti: true,
  txQLen: 500,
  sysctl: SYSCTLS,
};

/** A call for a pod whose interface leads nowhere. */
async function addPod(
  node: TestNode,
  keys: Readonly<Record<string, unknown>>,
  containerID = 'a',
): Promise<CallOptions & { readonly netns: string; readonly config: object }> {
  const netns = await node.addPod(containerID);
  await node.run('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'p0'], netns);
  const config = chainedConfig('tuning', { dataDir: node.path('tuning'), ...keys });
  return { plugin: 'tuning', config, netns, containerID };
}

/** What somebody does to a pod, and how CHECK says so. */
const CHANGES: Readonly<Record<string, RegExp>> = {
  'ip link set eth0 address 02:22:22:22:22:22':
    /^Tuning configured Ethernet of eth0 is 02:11:11:11:11:11, current value is 02:22:22:22:22:22$/,
  'ip link set eth0 promisc off':
    /^Tuning configured promiscuous mode of eth0 is true, current value is false$/,
  'ip link set eth0 mtu 1300': /^Tuning configured MTU of eth0 is 1400, current value is 1300$/,
  'ip link set eth0 allmulticast off':
    /^Tuning configured all-multicast mode of eth0 is true, current value is false$/,
  'ip link set eth0 txqueuelen 7':
    /^Tuning configured transmit queue length of eth0 is 500, current value is 7$/,
  'echo 78 > /proc/sys/net/core/somaxconn':
    /^Tuning configured value of net\.core\.somaxconn is 77, current value is 78$/,
  'echo 2000 3001 > /proc/sys/net/ipv4/ip_local_port_range':
    /^Tuning configured value of net\.ipv4\.ip_local_port_range is 2000 3000, current value is 2000\t3001$/,
  'ip link del eth0': /^Container interface "eth0" not found in "/,
};

test('CHECK names what is not as it was asked for', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, ALL);
  for (const [change, words] of Object.entries(CHANGES)) {
    await node.succeed(t, 'ADD', a);
    await node.succeed(t, 'CHECK', a);
    await node.run('sh', ['-c', change], a.netns);
    const { exitCode, json } = await node.call('CHECK', a);
    t.is(exitCode, 1);
    t.regex(json.msg, words);
  }
});

test('CHECK is content with what nobody asked for', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { promisc: false, mtu: 0 });
  await node.succeed(t, 'ADD', a);
  t.deepEqual(node.files('.'), [], 'there is nothing to back up');
  await node.run('sh', ['-c', 'ip link set eth0 promisc on mtu 1300 allmulticast on'], a.netns);
  await node.succeed(t, 'CHECK', a);
});

test('a list that the kernel writes in another way is said to be', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { sysctl: { 'net.ipv4.ip_local_reserved_ports': '8080,8081' } });
  const { stderr } = await node.succeed(t, 'ADD', a);
  t.regex(stderr, /was set to "8080,8081", and the kernel has made "8080-8081" of it/);
});

test('a parameter that can only be written is written, and not compared', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { sysctl: { 'net.ipv4.route.flush': '1' } });
  await node.succeed(t, 'ADD', a);
  await node.succeed(t, 'CHECK', a);
});

/** The folder's backups. */
const backups = (node: TestNode): string[] => node.files('tuning');

test("GC removes the network's backups that are not valid, and no others", async (t) => {
  await using node = await TestNode.create();
  for (const name of ['a', 'b']) await node.succeed(t, 'ADD', await addPod(node, ALL, name));
  await node.succeed(t, 'ADD', await addPod(node, { ...ALL, name: 'net2' }, 'c'));
  const theirs = node.path('tuning', 'd_eth0.json');
  writeFileSync(theirs, '{\n "mtu": 1500\n}');
  writeFileSync(node.path('tuning', 'e_eth0.json'), '{"mtu"');
  const valid = [{ containerID: 'b', ifname: 'eth0' }];
  const config = {
    cniVersion: '1.1.0',
    name: 'net1',
    type: 'tuning',
    dataDir: node.path('tuning'),
    'cni.dev/valid-attachments': valid,
  };
  await node.succeed(t, 'GC', { plugin: 'tuning', config });
  t.deepEqual(backups(node), ['b_eth0.json', 'c_eth0.json', 'd_eth0.json', 'e_eth0.json']);
});

test('GC that is not told what is valid removes what is provably dead in its network', async (t) => {
  await using node = await TestNode.create();
  for (const name of ['a', 'b']) await node.succeed(t, 'ADD', await addPod(node, ALL, name));
  await node.succeed(t, 'ADD', await addPod(node, { ...ALL, name: 'net2' }, 'c'));
  await node.deletePod('a');
  await node.deletePod('c');
  // The path is there again, with another namespace.
  await node.addPod('a');
  const dataDir = node.path('tuning');
  const config = { cniVersion: '1.1.0', name: 'net1', type: 'tuning', dataDir };
  await node.succeed(t, 'GC', { plugin: 'tuning', config });
  t.deepEqual(backups(node), ['b_eth0.json', 'c_eth0.json']);
  await node.succeed(t, 'GC', { plugin: 'tuning', config: { ...config, dataDir: '/nonexistent' } });
});

/** The plugin as a program that sees an allow-list: a layer over /etc, in a mount namespace of its own. */
function withAllowList(node: TestNode, content: string | undefined): string {
  const file = 'etc/cni/tuning/allowlist.conf';
  mkdirSync(node.path(content === undefined ? file : 'etc/cni/tuning'), { recursive: true });
  if (content !== undefined) node.writeFile(file, content);
  const mount = `mount -t overlay overlay -o lowerdir=${node.path('etc')}:/etc /etc`;
  const script = `${mount} && exec ${ownProgram('tuning').join(' ')}`;
  return node.writeProgram('empty/tuning-with-list', `exec unshare -m sh -c '${script}'`);
}

test("the administrator's list: what it allows is set, what it does not changes nothing", async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { ...ALL, mac: undefined });
  const somaxconn = () => node.run('cat', ['/proc/sys/net/core/somaxconn'], a.netns);
  const former = await somaxconn();
  const list = withAllowList(node, '^net\\.core\\.\nrmem\n');
  const { json } = await node.call('ADD', { ...a, plugin: list });
  t.is(json?.code, 7);
  t.is(
    json.msg,
    'Sysctl net.ipv4.ip_local_port_range is not allowed. Only the following sysctls are allowed: [^net\\.core\\. rmem]',
  );
  t.is(await somaxconn(), former);
  t.is((await node.ip('link show eth0', a.netns))[0].mtu, 1500);
  const config = { ...a.config, sysctl: { 'net.core.somaxconn': '77' } };
  await node.succeed(t, 'ADD', { ...a, config, plugin: list });
  t.is(await somaxconn(), '77');
  const cni = { sysctl: { 'net.ipv4.ip_forward': '1' } };
  const more = await node.call('ADD', { ...a, config: { ...config, args: { cni } }, plugin: list });
  t.regex(more.json?.msg, /^Sysctl net\.ipv4\.ip_forward is not allowed/);
});

for (const [what, content, words] of [
  ['has a faulty line', '^net\n(\n', /line 2: Invalid regular expression/],
  ['is a folder', undefined, /allowlist\.conf.*(directory|not a regular file)/],
] as const) {
  test(`a list that ${what} allows nothing; STATUS says so, and ADD if it has to ask`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(node, { sysctl: SYSCTLS, cniVersion: '1.1.0' });
    const list = withAllowList(node, content);
    const status = await node.call('STATUS', { plugin: list, config: a.config });
    t.is(status.json?.code, 50, status.stderr);
    t.regex(status.json.msg, words);
    const add = await node.call('ADD', { ...a, plugin: list });
    t.regex(add.json?.msg, words);
    t.false(existsSync(node.path('tuning')));
    await node.succeed(t, 'ADD', { ...a, config: { ...a.config, sysctl: {} }, plugin: list });
    await node.succeed(t, 'DEL', { ...a, plugin: list });
    await node.succeed(t, 'STATUS', { plugin: 'tuning', config: a.config });
  });
}
