/** Our tuning beside the reference plugin of Debian's package: the same backups, and each restores what the other changed. */
import { existsSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { chainedConfig } from '#test/configs.ts';
import { REFERENCE_BIN, TestNode } from '#test/node.ts';

const THEIRS = `${REFERENCE_BIN}/tuning`;

// Release 1.1.1 knows no txQLen.
const KEYS = {
  mac: '02:11:11:11:11:11',
  promisc: true,
  mtu: 1400,
  allmulti: true,
  sysctl: {
    'net.ipv4.conf.IFNAME.arp_filter': '1',
    'net/core/somaxconn': '77',
    'net.ipv4.ip_local_port_range': '2000 3000',
  },
};

const NAMES = [
  'net/ipv4/conf/eth0/arp_filter',
  'net/core/somaxconn',
  'net/ipv4/ip_local_port_range',
];

/** A pod whose interface has a known hardware address and leads nowhere. */
async function addPod(node: TestNode, keys: Readonly<Record<string, unknown>> = KEYS) {
  const netns = await node.addPod('a');
  const link = 'link add eth0 address 02:22:22:22:22:22 type veth peer name p0';
  await node.run('ip', link.split(' '), netns);
  const config = chainedConfig('tuning', { dataDir: node.path('tuning'), ...keys });
  return { netns, config, call: { config, netns, containerID: 'a' } };
}

type Pod = Awaited<ReturnType<typeof addPod>>;

const backup = (node: TestNode): string => node.path('tuning', 'a_eth0.json');

/** Attributes and parameters that the plugins change. */
async function state(node: TestNode, { netns }: Pod): Promise<unknown> {
  const [{ address, mtu, flags, promiscuity }] = await node.ip('link show eth0', netns);
  const paths = NAMES.map((name) => `/proc/sys/${name}`);
  return { address, mtu, flags, promiscuity, sysctls: await node.run('cat', paths, netns) };
}

/** What an ADD answers and changes. */
async function made(t: ExecutionContext, plugin: string, keys: Readonly<Record<string, unknown>>) {
  await using node = await TestNode.create();
  const a = await addPod(node, keys);
  const { json } = await node.succeed(t, 'ADD', { ...a.call, plugin });
  const file = readFileSync(backup(node), 'utf8');
  return { result: json, state: await state(node, a), file };
}

for (const cniVersion of SPEC_VERSIONS.filter((one) => one >= '0.3.0' && one !== '1.1.0')) {
  test(`${cniVersion}: result, changes and backup are the reference's`, async (t) => {
    const { prevResult } = chainedConfig('tuning');
    const version = cniVersion === '1.0.0' ? {} : { version: '4' };
    const ips = prevResult.ips.map((ip) => ({ ...version, ...ip }));
    const keys = { ...KEYS, cniVersion, prevResult: { ...prevResult, cniVersion, ips } };
    const [ours, theirs] = [await made(t, 'tuning', keys), await made(t, THEIRS, keys)];
    t.deepEqual(ours.state, theirs.state);
    // Release 1.1.1 prints empty DNS settings.
    t.deepEqual({ ...ours.result, dns: {} }, theirs.result);
    t.is(ours.file.replace(/,\n "cniSuite": \{[^}]*\}/, ''), theirs.file);
    t.not(ours.file, theirs.file);
  });
}

for (const [adds, deletes] of [
  [THEIRS, 'tuning'],
  ['tuning', THEIRS],
] as const) {
  const way =
    adds === 'tuning'
      ? 'the reference restores what ours changed'
      : 'ours restores what the reference changed';
  test(`${way}, and the backup is gone`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(node);
    const { address, mtu, flags, promiscuity } = (await state(node, a)) as Record<string, unknown>;
    await node.succeed(t, 'ADD', { ...a.call, plugin: adds });
    await node.succeed(t, 'CHECK', { ...a.call, plugin: 'tuning' });
    t.true(existsSync(backup(node)));
    await node.succeed(t, 'DEL', { ...a.call, plugin: deletes });
    t.like(await state(node, a), { address, mtu, flags, promiscuity });
    t.false(existsSync(backup(node)));
  });
}

test("our ADD after the reference's keeps its backup, GC does not touch that", async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(node);
  const before = (await state(node, a)) as { address: string; mtu: number };
  await node.succeed(t, 'ADD', { ...a.call, plugin: THEIRS });
  const config = { ...a.config, cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
  await node.succeed(t, 'GC', { plugin: 'tuning', config });
  t.true(existsSync(backup(node)));
  await node.succeed(t, 'ADD', { ...a.call, plugin: 'tuning' });
  await node.succeed(t, 'DEL', { ...a.call, plugin: 'tuning' });
  const { address, mtu } = before;
  t.like(await state(node, a), { address, mtu });
});
