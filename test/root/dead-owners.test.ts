/** host-local: addresses of containers that are provably dead come back; nobody else's do. */
import { mkdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { bridgeConfig, hostLocalConfig, ipam } from '#test/configs.ts';
import { isSkippedFromSource, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { killAt } from '#test/trace.ts';
import { anotherBoot } from '#test/reboot.ts';

/** Five addresses besides the gateway's, and calls for them. */
function smallNetwork(node: TestNode) {
  const config = { ...hostLocalConfig(node, ['10.1.0.0/29']), cniVersion: '1.1.0' };
  const call = (command: string, containerID: string, more: object = {}) =>
    node.call(command, {
      plugin: 'host-local',
      config,
      containerID,
      netns: '/run/netns/none',
      ...more,
    });
  const held = () => node.files('networks/net1');
  const owner = (address: string) => readFileSync(node.path('networks/net1', address), 'utf8');
  return { config, call, held, owner };
}

test('a full range gives out the addresses of containers whose namespace is gone, and tells who holds the rest', async (t) => {
  await using node = await TestNode.create();
  const { config, call, owner } = smallNetwork(node);
  for (const pod of ['a', 'b', 'c']) {
    t.is((await call('ADD', pod, { netns: await node.addPod(pod) })).exitCode, 0);
  }
  await call('ADD', 'unknown');
  await node.call('ADD', {
    plugin: `${REFERENCE_BIN}/host-local`,
    config: { ...config, cniVersion: '1.0.0' },
    containerID: 'go',
    netns: '/x',
  });
  const full = await call('ADD', 'd');
  t.is(full.json.code, 999);
  t.regex(full.json.msg, /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.6/);
  t.regex(
    full.json.details,
    /held: 5, of these 3 by live containers, 0 by dead ones, 2 by containers of which nothing is known\. Each file in ".*networks\/net1" names its container/,
  );
  const status = await call('STATUS', '');
  t.is(status.json.code, 50);

  await node.deletePod('b');
  // The path is there again, for another namespace.
  await node.addPod('b');
  t.is((await call('STATUS', '')).exitCode, 0, 'an ADD would work');
  t.is(
    (await call('ADD', 'd', { netns: await node.addPod('d') })).json.ips[0].address,
    '10.1.0.3/29',
  );
  t.is((await call('DEL', 'b')).exitCode, 0);
  t.is(owner('10.1.0.3'), 'd\r\neth0', "a late DEL frees nothing of the new owner's");
  t.is((await call('ADD', 'e')).exitCode, 1);
});

test('in another boot what ours reserved is dead, what the reference plugin reserved if it is older', async (t) => {
  await using node = await TestNode.create();
  const { config, call, held } = smallNetwork(node);
  const reference = {
    plugin: `${REFERENCE_BIN}/host-local`,
    config: { ...config, cniVersion: '1.0.0' },
    netns: '/x',
  };
  for (const pod of ['a', 'b', 'c']) await call('ADD', pod);
  for (const containerID of ['go1', 'go2']) await node.call('ADD', { ...reference, containerID });
  t.is(held().length, 5);
  t.is((await call('ADD', 'd')).exitCode, 1);
  await node.run('touch', ['-d', '2020-01-01', node.path('networks/net1/10.1.0.5')]);
  t.is((await call('ADD', 'd')).json.ips?.[0].address, '10.1.0.5/29', 'older than this boot');
  t.is((await call('ADD', 'e')).exitCode, 1);
  const through = anotherBoot(node);
  for (const pod of ['v', 'w', 'x', 'y', 'z']) {
    const { exitCode, stdout } = await call('ADD', pod, { through });
    t.is(exitCode, 0, stdout);
  }
  t.is((await call('ADD', 'more', { through })).exitCode, 1);
});

test('an address that is asked for is had from a dead container', async (t) => {
  await using node = await TestNode.create();
  const { call } = smallNetwork(node);
  await call('ADD', 'a', { netns: await node.addPod('a'), args: 'IP=10.1.0.4' });
  const asked = { args: 'IP=10.1.0.4' };
  const refused = await call('ADD', 'b', asked);
  t.regex(refused.json.msg, /requested IP address 10\.1\.0\.4 is not available/);
  t.regex(refused.json.details, /container "a" has it on interface "eth0"/);
  await node.deletePod('a');
  t.is((await call('ADD', 'b', asked)).json.ips[0].address, '10.1.0.4/29');
});

test('GC without a list frees what dead containers hold, and nothing else', async (t) => {
  await using node = await TestNode.create();
  const { call, held } = smallNetwork(node);
  for (const pod of ['a', 'b']) await call('ADD', pod, { netns: await node.addPod(pod) });
  await call('ADD', 'unknown');
  await node.deletePod('a');
  t.is((await call('GC', '')).exitCode, 0);
  t.deepEqual(held(), ['10.1.0.3', '10.1.0.4']);
});

test('evidence is of the file that it was noted for: not of a later one with the same name', async (t) => {
  await using node = await TestNode.create();
  const { call, held, config } = smallNetwork(node);
  await call('ADD', 'a', { netns: await node.addPod('a') });
  const reference = {
    plugin: `${REFERENCE_BIN}/host-local`,
    config: { ...config, cniVersion: '1.0.0' },
    containerID: 'a',
    netns: '/x',
  };
  await node.call('DEL', reference);
  await node.call('ADD', { ...reference, args: 'IP=10.1.0.2' });
  await node.deletePod('a');
  t.is((await call('GC', '')).exitCode, 0);
  t.deepEqual(held(), ['10.1.0.2']);
});

test('what was seen from another mount namespace, or in a boot that has no name, proves nothing', async (t) => {
  await using node = await TestNode.create();
  const { call, held } = smallNetwork(node);
  const nameless = `mount --bind ${node.writeFile('empty-id', '')} /proc/sys/kernel/random/boot_id; exec "$@"`;
  const elsewhere = ['unshare', '--mount'];
  const pods = { a: elsewhere, b: [...elsewhere, 'sh', '-c', nameless, 'sh'], c: [] };
  for (const [pod, through] of Object.entries(pods)) {
    t.is((await call('ADD', pod, { netns: await node.addPod(pod), through })).exitCode, 0);
    await node.deletePod(pod);
  }
  t.is((await call('GC', '')).exitCode, 0);
  t.deepEqual(held(), ['10.1.0.2', '10.1.0.3'], 'c alone');
});

test("texts that are no reservations are nobody's to give away, unless they are older than this boot", async (t) => {
  await using node = await TestNode.create();
  const { call, held } = smallNetwork(node);
  await node.run('mkdir', ['-p', node.path('networks/net1')]);
  for (const address of [2, 3, 4, 5, 6]) {
    node.writeFile(`networks/net1/10.1.0.${address}`, 'reserved for the printer, ask Bob');
  }
  const full = await call('ADD', 'a');
  t.regex(full.json.details, /held: 5, of these 0 by live containers, 0 by dead ones, 5 by/);
  await call('GC', '');
  t.is(held().length, 5);
  await node.run('touch', ['-d', '2020-01-01', node.path('networks/net1/10.1.0.4')]);
  t.is((await call('ADD', 'a')).json.ips[0].address, '10.1.0.4/29');
});

/** Kills a bridge's ADD after its reservation and before its interface. */
async function killAdd(node: TestNode, call: { config: object; netns: string }): Promise<string> {
  mkdirSync(node.path('networks/net1'), { recursive: true });
  for (let when = 1; when < 20; when += 1) {
    await killAt(node, 'ADD', { plugin: 'bridge', ...call }, 'sendto', when);
    const [address] = node.files('networks/net1');
    const links = (await node.ip('link show', call.netns)) as { ifname: string }[];
    if (address !== undefined && !links.some(({ ifname }) => ifname === 'eth0')) return address;
    await node.call('DEL', { plugin: 'bridge', ...call });
  }
  throw new Error('No kill came between');
}

test('the retry of an ADD that was killed gets its reservation back, once that process is gone', async (t) => {
  if (isSkippedFromSource(t, "too many system calls are not the plugin's")) return;
  await using node = await TestNode.create();
  // The IPv6 address first: sorted by name it comes last.
  const config = bridgeConfig(node, { ipam: ipam(node, ['fd00:1::/64', '10.1.0.0/24']) });
  const call = { config, netns: await node.addPod('a') };
  const address = await killAdd(node, call);
  // Every reservation is read, and the index made anew.
  await node.run('touch', [node.path('networks/net1')]);
  await node.succeed(t, 'ADD', { plugin: 'host-local', config, containerID: 'b', netns: '/x' });
  await node.succeed(t, 'DEL', { plugin: 'host-local', config, containerID: 'b' });
  const guard = node.path('networks/net1', address);
  const running = await node.call('ADD', { plugin: 'bridge', ...call, through: ['flock', guard] });
  t.regex(running.json.msg, /has been allocated to cid1, duplicate allocation is not allowed/);
  const retried = await node.succeed(t, 'ADD', { plugin: 'bridge', ...call });
  const addresses = retried.json.ips.map((ip: { address: string }) => ip.address.split('/')[0]);
  t.true(addresses.includes(address), `${address} is not in ${addresses}`);
  await node.succeed(t, 'CHECK', {
    plugin: 'bridge',
    ...call,
    config: { ...call.config, prevResult: retried.json },
  });
  await node.succeed(t, 'DEL', { plugin: 'bridge', ...call });
  t.deepEqual(node.files('networks'), []);
});
