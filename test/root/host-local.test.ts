import { readFileSync, statSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { hostLocalConfig, ipam } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { killAt, trace } from '#test/trace.ts';

const isReservation = (name: string): boolean => !name.startsWith('.');

/** Calls ADD and returns the addresses, or the error's message. */
const adder = (node: TestNode, config: object) => async (containerID: string, args?: string) => {
  const { json } = await node.call('ADD', {
    plugin: 'host-local',
    config,
    containerID,
    netns: '/x',
    ...(args ? { args } : {}),
  });
  return json.ips?.map(({ address }: { address: string }) => address).join(' ') ?? json.msg;
};

test('addresses go round: a released one comes back last', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/29']);
  const add = adder(node, config);
  const del = (containerID: string) =>
    node.succeed(t, 'DEL', { plugin: 'host-local', config, containerID });
  t.is(await add('a'), '10.1.0.2/29');
  t.is(await add('b'), '10.1.0.3/29');
  await del('a');
  for (const [containerID, address] of [
    ['c', 4],
    ['d', 5],
    ['e', 6],
    ['f', 2],
  ]) {
    t.is(await add(String(containerID)), `10.1.0.${address}/29`);
  }
  t.is(
    await add('g'),
    'failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6',
  );
  await del('b');
  t.is(await add('g'), '10.1.0.3/29');
  t.is(readFileSync(node.path('networks/net1/last_reserved_ip.0'), 'utf8'), '10.1.0.3');
});

test('files have the names, contents and modes of the reference plugin', async (t) => {
  await using node = await TestNode.create();
  await adder(node, hostLocalConfig(node, ['fd00:1::/64']))('cid1');
  const file = node.path('networks/net1/fd00:1::2');
  t.is(readFileSync(file, 'latin1'), 'cid1\r\neth0');
  t.is(statSync(file).mode & 0o777, 0o600);
  t.is(statSync(node.path('networks/net1')).mode & 0o777, 0o755);
  t.is(statSync(node.path('networks/net1/lock')).mode & 0o777, 0o750);
});

test('every way to ask for an address, and what is refused', async (t) => {
  await using node = await TestNode.create();
  const base = hostLocalConfig(node, ['10.1.0.0/24', 'fd00:1::/64']);
  const add = adder(node, base);
  t.is(await add('a', 'IP=10.1.0.50'), '10.1.0.50/24 fd00:1::2/64');
  t.is(
    await adder(node, { ...base, args: { cni: { ips: ['10.1.0.60/8', 'fd00:1::60'] } } })('b'),
    '10.1.0.60/24 fd00:1::60/64',
  );
  t.is(
    await adder(node, { ...base, runtimeConfig: { ips: ['fd00:1::70'] } })('c'),
    '10.1.0.61/24 fd00:1::70/64',
  );
  t.is(
    await add('d', 'IP=10.1.0.50'),
    'failed to allocate for range 0: requested IP address 10.1.0.50 is not available in range set 10.1.0.1-10.1.0.254',
  );
  t.is(
    await add('d', 'IP=10.1.0.1'),
    "failed to allocate for range 0: requested ip 10.1.0.1 is subnet's gateway",
  );
  t.is(await add('d', 'IP=10.9.0.1'), 'failed to allocate all requested IPs: 10.9.0.1');
  t.is(await add('d', 'IP=frob'), 'ARGS: IP="frob" is not an IP address');
  t.deepEqual(
    node.files('networks').filter(isReservation).length,
    6,
    'what failed reserved nothing',
  );
});

test('range sets are numbered: capability ipRanges, the old keys, ranges', async (t) => {
  await using node = await TestNode.create();
  const config = {
    ...hostLocalConfig(node, []),
    runtimeConfig: { IPRanges: [[{ Subnet: '10.3.0.0/24' }]] },
    ipam: { ...ipam(node, ['10.1.0.0/24']), subnet: '10.2.0.0/24', gateway: '10.2.0.77' },
  };
  t.is(await adder(node, config)('a'), '10.3.0.2/24 10.2.0.1/24 10.1.0.2/24');
  const marker = (set: number) =>
    readFileSync(node.path(`networks/net1/last_reserved_ip.${set}`), 'utf8');
  t.deepEqual([marker(0), marker(1), marker(2)], ['10.3.0.2', '10.2.0.1', '10.1.0.2']);
});

test('resolvConf and routes come through', async (t) => {
  await using node = await TestNode.create();
  const resolvConf = node.writeFile(
    'resolv.conf',
    '# x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\ndomain a.test\nsearch a.test b.test\noptions ndots:5\n',
  );
  const config = {
    ...hostLocalConfig(node, []),
    ipam: { ...ipam(node, ['10.1.0.0/24']), resolvConf, routes: [{ dst: '0.0.0.0/0' }] },
  };
  const { json } = await node.succeed(t, 'ADD', { plugin: 'host-local', config, netns: '/x' });
  t.deepEqual(json.dns, {
    nameservers: ['192.0.2.53', '2001:db8::53'],
    domain: 'a.test',
    search: ['a.test', 'b.test'],
    options: ['ndots:5'],
  });
  t.deepEqual(json.routes, [{ dst: '0.0.0.0/0' }]);
});

test('an empty file and one of zeros do not cost their addresses for ever', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/29']);
  await node.run('mkdir', ['-p', node.path('networks/net1')]);
  for (const address of [2, 3, 4])
    node.writeFile(`networks/net1/10.1.0.${address}`, address === 4 ? '\0\0\0\0\0\0' : '');
  const add = adder(node, config);
  for (const address of [5, 6])
    t.is(await add(`a${address}`), `10.1.0.${address}/29`, 'in their turn they are passed over');
  for (const address of [2, 3, 4]) t.is(await add(`b${address}`), `10.1.0.${address}/29`);
  t.regex(await add('c'), /no IP addresses available/);
});

test('an empty file does not hold up who asks for its address', async (t) => {
  await using node = await TestNode.create();
  await node.run('mkdir', ['-p', node.path('networks/net1')]);
  node.writeFile('networks/net1/10.1.0.9', '');
  t.is(
    await adder(node, hostLocalConfig(node, ['10.1.0.0/24']))('a', 'IP=10.1.0.9'),
    '10.1.0.9/24',
  );
});

test('files of very old releases, which name the container alone, are released', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/24']);
  await node.run('mkdir', ['-p', node.path('networks/net1')]);
  node.writeFile('networks/net1/10.1.0.9', 'cid1');
  await node.succeed(t, 'CHECK', { plugin: 'host-local', config, netns: '/x' });
  await node.succeed(t, 'DEL', { plugin: 'host-local', config });
  t.deepEqual(node.files('networks').filter(isReservation), []);
  const { json } = await node.call('CHECK', { plugin: 'host-local', config, netns: '/x' });
  t.is(json.msg, 'host-local: Failed to find address added by container cid1');
});

test('a lost, a corrupt and a stale index make no difference', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/24']);
  const add = adder(node, config);
  const index = node.path('networks/.attachments/net1');
  for (const damage of [
    `rm -r ${index}`,
    `truncate -s0 ${index}/*`,
    `rm ${index}/*`,
    `echo '{}' > ${index}/cid1:eth0`,
  ]) {
    await add('cid1');
    await node.run('sh', ['-c', damage]);
    t.regex(await add('cid1'), /duplicate allocation is not allowed/, damage);
    await node.run('sh', ['-c', damage]).catch(() => '');
    await node.succeed(t, 'DEL', { plugin: 'host-local', config });
    t.deepEqual(node.files('networks').filter(isReservation), [], damage);
  }
});

test('an ADD that is killed between reservation and index does not cost the address', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/24']);
  await adder(node, config)('live');
  for (const containerID of ['a', 'b', 'c', 'd', 'e']) {
    const call = { plugin: 'host-local', config, containerID, netns: '/x' };
    t.true(await killAt(node, 'ADD', call, 'rename', 1));
    await node.succeed(t, 'DEL', call);
    t.deepEqual(node.files('networks').filter(isReservation), ['net1/10.1.0.2'], containerID);
  }
});

test('what is no reservation in the folder is passed over, and stays', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/29']);
  await node.run('mkdir', ['-p', node.path('networks/net1/10.1.0.2')]);
  await node.run('mkfifo', [node.path('networks/net1/10.1.0.3')]);
  await node.run('ln', ['-s', '10.1.0.4', node.path('networks/net1/10.1.0.4')]);
  await node.run('mkdir', [node.path('networks/net1/.tmp-0')]);
  await node.run('mkfifo', [node.path('networks/net1/last_reserved_ip.0')]);
  const add = adder(node, config);
  t.is(await add('a'), '10.1.0.5/29');
  await node.succeed(t, 'DEL', { plugin: 'host-local', config, containerID: 'a' });
  for (const containerID of ['b', 'c']) t.regex(await add(containerID), /^10\.1\.0\.[56]\/29$/);
  t.regex(await add('d'), /no IP addresses available/);
});

test('GC keeps what is valid, STATUS tells when nothing is left', async (t) => {
  await using node = await TestNode.create();
  const config = { ...hostLocalConfig(node, ['10.1.0.0/29']), cniVersion: '1.1.0' };
  const add = adder(node, config);
  for (const containerID of ['a', 'b', 'c', 'd']) await add(containerID);
  await node.succeed(t, 'STATUS', { plugin: 'host-local', config });
  await add('e');
  const { json } = await node.call('STATUS', { plugin: 'host-local', config });
  t.is(json.code, 50);
  t.regex(json.msg, /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.6/);
  const gc = (valid: unknown) =>
    node.succeed(t, 'GC', {
      plugin: 'host-local',
      config: { ...config, 'cni.dev/valid-attachments': valid },
    });
  await node.succeed(t, 'GC', { plugin: 'host-local', config });
  t.is(
    node.files('networks').filter(isReservation).length,
    5,
    'without a list nothing is known to be dead',
  );
  await gc([
    { containerID: 'b', ifname: 'eth0' },
    { containerID: 'c', ifname: 'other' },
  ]);
  t.deepEqual(node.files('networks').filter(isReservation), ['net1/10.1.0.3']);
  await gc(null);
  t.deepEqual(node.files('networks').filter(isReservation), []);
});

test('one address a family in results that have room for no more', async (t) => {
  await using node = await TestNode.create();
  const config = { ...hostLocalConfig(node, ['10.1.0.0/24', '10.2.0.0/24']), cniVersion: '0.2.0' };
  t.is(
    await adder(node, config)('a'),
    'CNI version 0.2.0 does not support more than 1 address per family',
  );
});

test('no call reads every reservation: as many files are opened with 200 held as with 5', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/16']);
  const call = { plugin: 'host-local', config, containerID: 'probe', netns: '/x' };
  const opened = async (command: string) => {
    const { exitCode, lines } = await trace(node, command, call, 'openat,open');
    t.is(exitCode, 0);
    return lines.filter((line) => line.includes('/networks/')).length;
  };
  const fill = async (from: number, to: number) => {
    for (let index = from; index < to; index += 1) await adder(node, config)(`c${index}`);
  };
  await fill(0, 5);
  const few = [await opened('ADD'), await opened('DEL')];
  await fill(5, 200);
  t.deepEqual([await opened('ADD'), await opened('DEL')], few);
});

test('a file that was rewritten in place, in the form of very old releases, is released all the same', async (t) => {
  await using node = await TestNode.create();
  const call = {
    plugin: 'host-local',
    config: hostLocalConfig(node, ['10.1.0.0/24', 'fd00:1::/64']),
    netns: await node.addPod('a'),
    containerID: 'cid1',
  };
  await node.succeed(t, 'ADD', call);
  writeFileSync(node.path('networks', 'net1', '10.1.0.2'), 'cid1');
  await node.succeed(t, 'DEL', call);
  t.deepEqual(node.files('networks'), []);
  await node.succeed(t, 'DEL', call);
});

test('a range that has no address but its gateway’s says so', async (t) => {
  await using node = await TestNode.create();
  const range = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1' };
  const config = {
    ...hostLocalConfig(node, []),
    cniVersion: '1.1.0',
    ipam: { type: 'host-local', dataDir: node.path('networks'), ranges: [[range]] },
  };
  const call = { plugin: 'host-local', config, netns: await node.addPod('a') };
  for (const [command, code] of [
    ['ADD', 999],
    ['STATUS', 50],
  ] as const) {
    const { json } = await node.call(command, call);
    t.is(json.code, code);
    t.regex(json.msg, /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.1$/);
    t.regex(json.details, /no address but the gateway's \(10\.1\.0\.1\).*larger range/);
    t.notRegex(json.details, /delete|held/);
  }
});
