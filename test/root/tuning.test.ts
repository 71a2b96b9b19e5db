/** tuning: what ADD sets, in whose words, and that DEL and a failed ADD set it back. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { chainedConfig } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';
import { addBridgePod, bareConfig, type Pod } from './pods.ts';

const MAC = '02:11:11:11:11:11';

const ALL = { mac: MAC, promisc: true, mtu: 1400, allmulti: true, txQLen: 500 };

/** A pod on a bridge and tuning with these keys. */
const addPodOnBridge = (
  t: ExecutionContext,
  node: TestNode,
  keys: Readonly<Record<string, unknown>>,
): Promise<Pod> =>
  addBridgePod(t, node, 'a', { type: 'tuning', dataDir: node.path('tuning'), ...keys });

/** A pod with an interface that leads nowhere, and tuning with these keys. */
async function addPod(
  node: TestNode,
  keys: Readonly<Record<string, unknown>>,
  ifName = 'eth0',
): Promise<Pod> {
  const netns = await node.addPod('a');
  await node.run('ip', ['link', 'add', ifName, 'type', 'veth', 'peer', 'name', 'p0'], netns);
  const config = chainedConfig('tuning', { dataDir: node.path('tuning'), ...keys });
  return { netns, config, call: { plugin: 'tuning', config, netns, containerID: 'a', ifName } };
}

/** The attributes that an interface has. */
async function attributes(node: TestNode, { netns }: Pod) {
  const [link] = await node.ip('link show eth0', netns);
  return {
    mac: link.address as string,
    promisc: link.flags.includes('PROMISC') as boolean,
    mtu: link.mtu as number,
    allmulti: link.flags.includes('ALLMULTI') as boolean,
    txQLen: link.txqlen as number,
  };
}

const sysctl = (node: TestNode, { netns }: Pod, name: string): Promise<string> =>
  node.run('cat', [`/proc/sys/${name}`], netns);

const backup = (node: TestNode) => node.path('tuning', 'a_eth0.json');

for (const version of SPEC_VERSIONS.filter((one) => one >= '0.3.0')) {
  test(`${version}: ADD sets everything and says so, DEL sets it back, twice`, async (t) => {
    await using node = await TestNode.create();
    const keys = { ...ALL, sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } };
    const a = await addPodOnBridge(t, node, { ...keys, cniVersion: version });
    const before = await attributes(node, a);
    const { json } = await node.succeed(t, 'ADD', a.call);
    t.deepEqual(await attributes(node, a), ALL);
    t.is(await sysctl(node, a, 'net/ipv4/conf/eth0/arp_filter'), '1');
    const { interfaces, ...rest } = a.config['prevResult'] as { interfaces: object[] };
    const own = version === '1.1.0' ? { mac: MAC, mtu: 1400 } : { mac: MAC };
    t.deepEqual(json, {
      ...rest,
      interfaces: [...interfaces.slice(0, 2), { ...interfaces[2], ...own }],
    });
    if (version >= '0.4.0') {
      await node.succeed(t, 'CHECK', withResult(a.call, json));
    }
    const config = bareConfig(a);
    await node.succeed(t, 'DEL', { ...a.call, config });
    t.deepEqual(await attributes(node, a), before);
    t.deepEqual(node.files('tuning'), []);
    await node.succeed(t, 'DEL', { ...a.call, config });
  });
}

test('a result of addresses alone is passed on', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mtu: 1400 });
  const prevResult = { cniVersion: '0.2.0', ip4: { ip: '10.1.0.2/24' }, dns: {} };
  const config = { ...a.config, cniVersion: '0.2.0', prevResult };
  const { json } = await node.succeed(t, 'ADD', { ...a.call, config });
  t.deepEqual(json, prevResult);
  t.is((await attributes(node, a)).mtu, 1400);
});

test('the backup holds the values that are changed and no others, in a folder for root alone', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mtu: 1400, txQLen: 0 });
  await node.succeed(t, 'ADD', a.call);
  const { cniSuite, ...former } = JSON.parse(readFileSync(backup(node), 'utf8')) as {
    cniSuite: { network: string; sandbox: string };
  };
  t.deepEqual(former as unknown, { mtu: 1500, txQLen: 1000 });
  t.is(cniSuite.network, 'net1');
  t.regex(
    cniSuite.sandbox,
    new RegExp(`^netns \\d+:\\d+:\\d+ seen in [\\d:]+/\\d+:\\d+ ${a.netns}$`),
  );
  const modes = await node.run('stat', ['-c', '%a', node.path('tuning'), backup(node)]);
  t.is(modes, '700\n600');
});

test('who asks for a hardware address: configuration, CNI_ARGS, runtime, args.cni, the later before the earlier', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mac: '02:00:00:00:00:01' });
  const runtimeConfig = { mac: '02:00:00:00:00:03' };
  const args = { cni: { mac: '02:00:00:00:00:04' } };
  const call = { ...a.call, args: 'IgnoreUnknown=1;MAC=02:00:00:00:00:02' };
  const cases = [
    [a.call, '02:00:00:00:00:01'],
    [call, '02:00:00:00:00:02'],
    [{ ...call, config: { ...a.config, runtimeConfig } }, '02:00:00:00:00:03'],
    [{ ...call, config: { ...a.config, runtimeConfig, args } }, '02:00:00:00:00:04'],
  ] as const;
  for (const [one, mac] of cases) {
    await node.succeed(t, 'ADD', one);
    t.is((await attributes(node, a)).mac, mac);
  }
});

test('args.cni overrides everything else too, and adds sysctls, also to a configuration without any', async (t) => {
  await using node = await TestNode.create();
  const key = 'net.ipv4.conf.IFNAME.arp_filter';
  const a = await addPod(node, ALL);
  const cni = { ALLMULTI: false, promisc: false, mtu: 1300, txqlen: 7, sysctl: { [key]: '1' } };
  await node.succeed(t, 'ADD', { ...a.call, config: { ...a.config, args: { cni } } });
  t.deepEqual(await attributes(node, a), {
    mac: MAC,
    promisc: false,
    mtu: 1300,
    allmulti: false,
    txQLen: 7,
  });
  t.is(await sysctl(node, a, 'net/ipv4/conf/eth0/arp_filter'), '1');
  const own = { 'net.core.somaxconn': '77', 'net.ipv4.conf.eth0.arp_filter': '1' };
  const config = { ...a.config, sysctl: own, args: { cni: { sysctl: { [key]: '0' } } } };
  await node.succeed(t, 'ADD', { ...a.call, config });
  t.is(await sysctl(node, a, 'net/core/somaxconn'), '77');
  t.is(await sysctl(node, a, 'net/ipv4/conf/eth0/arp_filter'), '0');
});

test('the host learns of a new hardware address at once, and nothing is left of how', async (t) => {
  await using node = await TestNode.create();
  const a = await addPodOnBridge(t, node, { mac: MAC });
  const neighbours = async () => {
    const list = (await node.ip('neigh show dev br0')) as { dst: string; lladdr: string }[];
    const pods = list.filter(({ dst }) => /^(10\.1\.0\.2|fd00:1::2)$/.test(dst));
    return pods.map(({ lladdr }) => lladdr);
  };
  const { mac } = await attributes(node, a);
  t.deepEqual(await neighbours(), [mac, mac]);
  for (const name of ['ipv4/conf/eth0/arp_notify', 'ipv6/conf/eth0/ndisc_notify']) {
    await node.run('sh', ['-c', `echo 0 > /proc/sys/net/${name}`], a.netns);
  }
  await node.succeed(t, 'ADD', a.call);
  t.deepEqual(await neighbours(), [MAC, MAC]);
  t.is(await sysctl(node, a, 'net/ipv4/conf/eth0/arp_notify'), '0');
  t.is(await sysctl(node, a, 'net/ipv6/conf/eth0/ndisc_notify'), '0');
});

test('an interface with dots in its name: IFNAME in a key', async (t) => {
  await using node = await TestNode.create();
  const keys = { mtu: 1400, sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } };
  const a = await addPod(node, keys, 'eth0.1');
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  t.is(await sysctl(node, a, 'net/ipv4/conf/eth0.1/arp_filter'), '1');
  await node.succeed(t, 'DEL', a.call);
  t.is((await node.ip('link show eth0.1', a.netns))[0].mtu, 1500);
});

test('an ADD that fails sets back attributes and sysctls, and leaves no backup', async (t) => {
  await using node = await TestNode.create();
  const keys = { 'net.core.somaxconn': '77', 'net.ipv4.ip_local_port_range': '2000 3000' };
  const a = await addPod(node, { ...ALL, txQLen: undefined, sysctl: keys });
  const before = await attributes(node, a);
  const names = ['net/core/somaxconn', 'net/ipv4/ip_local_port_range'];
  const values = () => Promise.all(names.map((name) => sysctl(node, a, name)));
  const formerValues = await values();
  // The kernel refuses the MTU, which comes after the hardware address.
  const answer = await node.call('ADD', { ...a.call, config: { ...a.config, mtu: 10 } });
  t.is(answer.exitCode, 1);
  t.is(answer.json.code, 5);
  t.regex(answer.json.msg, /set link eth0 mtu 10: .*mtu less than device minimum/);
  t.deepEqual(await attributes(node, a), before);
  t.deepEqual(await values(), formerValues);
  t.deepEqual(node.files('tuning'), []);
  // The last of the sysctls is refused.
  const refused = { ...keys, 'net.ipv4.tcp_rmem': 'many' };
  const second = await node.call('ADD', { ...a.call, config: { ...a.config, sysctl: refused } });
  t.is(second.json.msg.split(': ')[0], 'Cannot set sysctl "net.ipv4.tcp_rmem" to "many"');
  t.deepEqual(await values(), formerValues);
});

test('an ADD tried again after one that died keeps the original values', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mac: MAC, mtu: 1400 });
  const before = await attributes(node, a);
  await node.succeed(t, 'ADD', a.call);
  // As if the first had died before it answered; now the configuration has one key more.
  await node.succeed(t, 'ADD', { ...a.call, config: { ...a.config, txQLen: 500 } });
  await node.succeed(t, 'DEL', a.call);
  t.deepEqual(await attributes(node, a), before);
});

test("a backup of a namespace that is gone is not the new one's", async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mac: MAC });
  await node.succeed(t, 'ADD', a.call);
  const stale = readFileSync(backup(node), 'utf8');
  await node.deletePod('a');
  const b = await addPod(node, { mac: MAC });
  const before = await attributes(node, b);
  await node.succeed(t, 'ADD', b.call);
  await node.succeed(t, 'DEL', b.call);
  t.deepEqual(await attributes(node, b), before);
  writeFileSync(backup(node), stale);
  await node.succeed(t, 'DEL', b.call);
  t.deepEqual(await attributes(node, b), before);
  t.false(existsSync(backup(node)));
});

for (const [what, content] of Object.entries({
  empty: '',
  'cut short': '{"mac": "02:0',
  'no object': '[',
})) {
  test(`DEL is not held up by a backup that is ${what}, nor ADD`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(node, { mtu: 1400 });
    await node.succeed(t, 'ADD', a.call);
    writeFileSync(backup(node), content);
    const { stderr } = await node.succeed(t, 'DEL', a.call);
    t.regex(stderr, /backup ".*a_eth0\.json" is corrupt/);
    t.false(existsSync(backup(node)));
    writeFileSync(backup(node), content);
    await node.succeed(t, 'ADD', a.call);
    await node.succeed(t, 'DEL', a.call);
    t.deepEqual(node.files('tuning'), []);
  });
}

test('DEL removes the backup if interface or namespace are gone', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, ALL);
  await node.succeed(t, 'ADD', a.call);
  const content = readFileSync(backup(node), 'utf8');
  await node.run('ip', ['link', 'del', 'eth0'], a.netns);
  await node.succeed(t, 'DEL', a.call);
  t.false(existsSync(backup(node)));
  for (const netns of ['', '/run/netns/none']) {
    writeFileSync(backup(node), content);
    await node.succeed(t, 'DEL', { ...a.call, config: bareConfig(a), netns });
    t.false(existsSync(backup(node)));
  }
});

test('a DEL that cannot restore says so, restores the rest, and keeps the backup for the next', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node, { mtu: 1400, txQLen: 500 });
  await node.succeed(t, 'ADD', a.call);
  const content = readFileSync(backup(node), 'utf8');
  writeFileSync(backup(node), content.replace('1500', '10'));
  const { exitCode, json } = await node.call('DEL', a.call);
  t.is(exitCode, 1);
  t.is(json.code, 5);
  t.regex(json.msg, /^failed to restore "eth0" from ".*a_eth0\.json": set link eth0 mtu 10: /);
  const { mtu, txQLen } = await attributes(node, a);
  t.deepEqual([mtu, txQLen], [1400, 1000]);
  writeFileSync(backup(node), content);
  await node.succeed(t, 'DEL', a.call);
  t.is((await attributes(node, a)).mtu, 1500);
});
