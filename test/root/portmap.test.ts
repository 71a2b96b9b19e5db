/** portmap: who reaches a pod through the host's ports, under which name, and what is left of it. */
import test from 'ava';
import { TestNode } from '#test/node.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { addPortmapPod, bareConfig } from './pods.ts';

interface Mapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol?: string;
  readonly hostIP?: string;
}

const TCP: Mapping = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };
const UDP: Mapping = { hostPort: 5353, containerPort: 53, protocol: 'udp' };

const LAN = [
  ['192.0.2.1/24', '192.0.2.254/24'],
  ['fd00:9::1/64', 'fd00:9::254/64'],
] as const;

for (const backend of ['nftables', 'iptables'] as const) {
  test(`${backend}: a host port leads to the pod from outside, the node, other pods and itself`, async (t) => {
    await using node = await TestNode.create();
    const outside = await addOutside(node, ...LAN);
    const host = node.netns;
    const a = await addPortmapPod(t, node, 'a', [TCP, UDP], { backend });
    const b = await addPortmapPod(t, node, 'b', [], { backend });
    const { json } = await node.succeed(t, 'ADD', a.call);
    t.deepEqual(json, a.config['prevResult']);
    const see = (from: string, address: string, protocol: 'tcp' | 'udp' = 'tcp') =>
      sourceSeen({
        from,
        to: a.netns,
        address,
        protocol,
        ...(protocol === 'tcp' ? { port: 8080, serverPort: 80 } : { port: 5353, serverPort: 53 }),
      });
    t.is(await see(outside, '192.0.2.254'), '192.0.2.1', 'the source is kept');
    t.is(await see(outside, 'fd00:9::254'), 'fd00:9::1');
    t.is(await see(outside, '192.0.2.254', 'udp'), '192.0.2.1');
    t.is(await see(outside, 'fd00:9::254', 'udp'), 'fd00:9::1');
    t.is(await see(host, '127.0.0.1'), '10.1.0.1', 'by localhost');
    t.is(await see(host, '127.0.0.1', 'udp'), '10.1.0.1');
    t.is(await see(host, '192.0.2.254'), '192.0.2.254', 'from the node by its address');
    t.is(await see(host, 'fd00:9::254'), 'fd00:9::254');
    t.is(await see(b.netns, '192.0.2.254'), '10.1.0.1', 'from another pod');
    t.is(await see(b.netns, 'fd00:9::254'), 'fd00:1::1');
    t.is(await see(a.netns, '192.0.2.254'), '10.1.0.1', 'hairpin');
    t.is(await see(a.netns, 'fd00:9::254'), 'fd00:1::1');
    await node.succeed(t, 'CHECK', a.call);
    await node.deletePod('a');
    const late = { plugin: 'portmap', config: bareConfig(a), containerID: 'a' };
    await node.succeed(t, 'DEL', late);
    await node.succeed(t, 'DEL', late);
    t.notRegex(await node.rules(), /10\.1\.0\.2|8080|CNI-DN|cni_portmap/);
  });
}

test('nftables: ::1, from which no pod can be reached, refuses at once: clients go on with 127.0.0.1', async (t) => {
  await using node = await TestNode.create();
  const a = await addPortmapPod(t, node, 'a', [TCP]);
  await node.succeed(t, 'ADD', a.call);
  const host = node.netns;
  const port = { port: 8080, serverPort: 80 };
  t.regex(await sourceSeen({ from: host, to: a.netns, address: '::1', ...port }), /ECONNREFUSED/);
  t.is(await sourceSeen({ from: host, to: a.netns, address: 'localhost', ...port }), '10.1.0.1');
});

const seeAt = (from: string, to: string, address: string) =>
  sourceSeen({ from, to, address, port: 8080, serverPort: 80 });

const seeBy = (from: string, to: string, port: number) =>
  sourceSeen({ from, to, address: '192.0.2.254', port, serverPort: 80 });

test('nftables: hostIP takes one address of the host, and beats a mapping of all', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const a = await addPortmapPod(t, node, 'a', [{ ...TCP, hostIP: '192.0.2.254' }]);
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, hostIP: '0.0.0.0' }]);
  const c = await addPortmapPod(t, node, 'c', [{ ...TCP, hostIP: 'fd00:9::254' }]);
  for (const pod of [a, b, c]) await node.succeed(t, 'ADD', pod.call);
  t.is(await seeAt(outside, a.netns, '192.0.2.254'), '192.0.2.1');
  t.is(await seeAt(outside, b.netns, '10.1.0.1'), '192.0.2.1');
  t.is(await seeAt(node.netns, b.netns, '127.0.0.1'), '10.1.0.1');
  t.is(await seeAt(outside, c.netns, 'fd00:9::254'), 'fd00:9::1');
  t.regex(
    await seeAt(outside, c.netns, 'fd00:1::1'),
    /ECONNREFUSED/,
    'another address is not mapped',
  );
});

test('a host port that a live container holds is refused by its name; a dead one makes room', async (t) => {
  await using node = await TestNode.create();
  const a = await addPortmapPod(t, node, 'a', [TCP, UDP]);
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, containerPort: 81 }]);
  await node.succeed(t, 'ADD', a.call);
  const rules = await node.rules();
  const { exitCode, json } = await node.call('ADD', b.call);
  t.is(exitCode, 1);
  t.regex(json.msg, /Host port 8080\/tcp is already held by container id: a, if: eth0, net: net1/);
  t.is(await node.rules(), rules, 'nothing changed');
  await node.deletePod('a');
  await node.succeed(t, 'ADD', b.call);
  await node.succeed(t, 'CHECK', b.call);
  t.notRegex(await node.rules(), /id: a,|udp/, 'what else it held went too');
  await node.succeed(t, 'DEL', a.call);
  await node.succeed(t, 'CHECK', b.call);
});

test('iptables: a host port that another container holds is refused by its name', async (t) => {
  await using node = await TestNode.create();
  const a = await addPortmapPod(t, node, 'a', [TCP], { backend: 'iptables' });
  const b = await addPortmapPod(t, node, 'b', [TCP], { backend: 'iptables' });
  await node.succeed(t, 'ADD', a.call);
  const { json } = await node.call('ADD', b.call);
  t.regex(json.msg, /Host port 8080\/tcp is already held by container id: a, net: net1/);
  t.notRegex(await node.rules(), /10\.1\.0\.3/);
});

test('nftables: conditions of two networks hold each for its own pods', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const host = node.netns;
  const a = await addPortmapPod(t, node, 'a', [TCP], {
    conditionsV4: ['ip', 'saddr', '!=', '192.0.2.0/24'],
  });
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, hostPort: 8081 }], { name: 'net2' });
  for (const pod of [a, b]) await node.succeed(t, 'ADD', pod.call);
  t.regex(await seeBy(outside, a.netns, 8080), /ECONNREFUSED/);
  t.is(await seeBy(b.netns, a.netns, 8080), '10.1.0.1');
  t.is(await seeBy(outside, b.netns, 8081), '192.0.2.1');
  t.regex(await seeBy(host, a.netns, 8080), /ECONNREFUSED/);
  await node.succeed(t, 'CHECK', a.call);
  for (const pod of [a, b]) await node.succeed(t, 'DEL', pod.call);
  t.is(await node.rules(), '');
});

test('nftables: masqAll hides every source, snat false none', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const a = await addPortmapPod(t, node, 'a', [TCP], { masqAll: true, markMasqBit: 20 });
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, hostPort: 8081 }], {
    name: 'net2',
    snat: false,
  });
  for (const pod of [a, b]) await node.succeed(t, 'ADD', pod.call);
  const see = (to: string, port: number) =>
    sourceSeen({ from: outside, to, address: '192.0.2.254', port, serverPort: 80 });
  t.is(await see(a.netns, 8080), '10.1.0.1');
  t.is(await see(b.netns, 8081), '192.0.2.1');
  t.regex(await node.rules(), /meta mark \| 0x00100000/);
});

test('a UDP flow to a host port follows it to the next pod, and ends with the last', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const flow = { from: outside, address: '192.0.2.254', protocol: 'udp', port: 5353 } as const;
  const from = { serverPort: 53, sourcePort: 40_000 };
  const a = await addPortmapPod(t, node, 'a', [UDP]);
  const b = await addPortmapPod(t, node, 'b', [UDP]);
  // Before there is a mapping: the kernel remembers that the flow leads to the node itself.
  await sourceSeen({ ...flow, to: a.netns, ...from });
  await node.succeed(t, 'ADD', a.call);
  t.is(await sourceSeen({ ...flow, to: a.netns, ...from }), '192.0.2.1');
  await node.succeed(t, 'DEL', a.call);
  await node.succeed(t, 'ADD', b.call);
  t.is(await sourceSeen({ ...flow, to: b.netns, ...from }), '192.0.2.1');
  await node.succeed(t, 'DEL', b.call);
  const host = node.netns;
  t.is(await sourceSeen({ ...flow, to: host, sourcePort: 40_000 }), '192.0.2.1');
});

test('GC removes the mappings of attachments that are not valid, of either backend, and of no other network', async (t) => {
  await using node = await TestNode.create();
  const version = { cniVersion: '1.1.0' };
  const a = await addPortmapPod(t, node, 'a', [TCP], version);
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, hostPort: 8081 }], version);
  const c = await addPortmapPod(t, node, 'c', [{ ...TCP, hostPort: 8082 }], {
    ...version,
    name: 'net2',
  });
  const d = await addPortmapPod(t, node, 'd', [{ ...TCP, hostPort: 8083 }], {
    ...version,
    backend: 'iptables',
  });
  for (const pod of [a, b, c, d]) await node.succeed(t, 'ADD', pod.call);
  const config = {
    cniVersion: '1.1.0',
    name: 'net1',
    type: 'portmap',
    'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }],
  };
  await node.succeed(t, 'GC', { plugin: 'portmap', config, containerID: '', ifName: '' });
  const rules = await node.rules();
  t.notRegex(rules, /808[03]/);
  t.regex(rules, /8081/);
  t.regex(rules, /8082/);
});

test('a failing ADD leaves nothing', async (t) => {
  await using node = await TestNode.create();
  const a = await addPortmapPod(t, node, 'a', [TCP], { conditionsV6: ['ip6', 'sadr', '::1'] });
  const { json } = await node.call('ADD', a.call);
  t.is(json.code, 7);
  t.regex(json.msg, /nft refused conditionsV6 \[ip6 sadr ::1\]: .*syntax error/s);
  t.is(await node.rules(), '');
});

test('127.0.0.0/8 stays closed to the outside', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ...LAN);
  const a = await addPortmapPod(t, node, 'a', [TCP]);
  await node.succeed(t, 'ADD', a.call);
  await node.run('sysctl', ['-qw', 'net.ipv4.conf.lan0.route_localnet=1']);
  await node.run('ip', ['route', 'add', '127.0.0.9/32', 'via', '192.0.2.254'], outside);
  await node.run(
    'ip',
    ['route', 'del', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local'],
    outside,
  );
  await node.run('sysctl', ['-qw', 'net.ipv4.conf.all.route_localnet=1'], outside);
  const host = node.netns;
  const see = () => sourceSeen({ from: outside, to: host, address: '127.0.0.9', port: 9090 });
  t.is(await see(), 'timeout');
  await node.run('nft', ['flush', 'chain', 'ip', 'cni_portmap', 'localnet']);
  t.is(await see(), '192.0.2.1');
  const b = await addPortmapPod(t, node, 'b', [{ ...TCP, hostPort: TCP.hostPort + 1 }]);
  await node.succeed(t, 'ADD', b.call);
  t.is(await see(), 'timeout');
});
