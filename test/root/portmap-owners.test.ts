/** portmap: who holds a host port, across networks, backends and suites; and what an interrupted call leaves. */
import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Request } from '#lib/net/netlink.ts';
import { type Nftables, openNftables } from '#lib/net/nftables.ts';
import { openNetns } from '#lib/sys/netns.ts';
import { parseWith } from '#lib/cni/schema.ts';
import { PortmapConfig } from '#plugins/portmap/config.ts';
import type { Forward } from '#plugins/portmap/forward.ts';
import { addMappings, deleteMappings } from '#plugins/portmap/nftables.ts';
import { isSkippedFromSource, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { killAt } from '#test/trace.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { bareConfig, portmapPods } from './pods.ts';

const TCP = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };
const REFERENCE = `${REFERENCE_BIN}/portmap`;

const addPod = portmapPods([TCP]);

for (const [first, second] of [
  ['nftables', 'iptables'],
  ['iptables', 'nftables'],
  [REFERENCE, 'nftables'],
] as const) {
  test(`a port held by ${first === REFERENCE ? 'the reference plugin' : first} is refused by ${second}`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { backend: first === REFERENCE ? 'iptables' : first });
    const b = await addPod(t, node, 'b', { backend: second });
    const plugin = first === REFERENCE ? first : 'portmap';
    await node.succeed(t, 'ADD', { ...a.call, plugin });
    const before = await node.rules();
    const { json } = await node.call('ADD', b.call);
    t.regex(json.msg, /Host port 8080\/tcp is already held by container id: a/);
    t.is(await node.rules(), before);
    await node.succeed(t, 'DEL', a.call);
    await node.succeed(t, 'ADD', b.call);
  });
}

for (const backend of ['nftables', 'iptables'] as const) {
  test(`${backend}: two networks of one container may map the same port`, async (t) => {
    await using node = await TestNode.create();
    const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
    const a = await addPod(t, node, 'a', { backend });
    await node.succeed(t, 'ADD', a.call);
    const second = { ...a.call, config: { ...a.config, name: 'net2' } };
    await node.succeed(t, 'ADD', second);
    await node.succeed(t, 'CHECK', second);
    const way = { from: outside, address: '192.0.2.254', port: 8080, serverPort: 80 };
    t.is(await sourceSeen({ ...way, to: a.netns }), '192.0.2.1');
    await node.succeed(t, 'DEL', second);
    t.is(await sourceSeen({ ...way, to: a.netns }), '192.0.2.1');
    await node.succeed(t, 'DEL', a.call);
    t.notRegex(await node.rules(), /8080|cni_portmap|CNI-DN/);
  });
}

test('what a pod that is gone left under the other backend does not get in the way', async (t) => {
  await using node = await TestNode.create();
  const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  const way = { from: outside, address: '192.0.2.254', port: 8080, serverPort: 80 };
  const a = await addPod(t, node, 'a');
  await node.succeed(t, 'ADD', a.call);
  await node.deletePod('a');
  const b = await addPod(t, node, 'b', { backend: 'iptables' });
  await node.succeed(t, 'ADD', b.call);
  t.is(await sourceSeen({ ...way, to: b.netns }), '192.0.2.1');
  t.notRegex(await node.rules(), /cni_portmap/);
  // The address of b was given out again, by whatever lost its reservation.
  const c = { ...b.call, containerID: 'c', config: { ...b.config, backend: 'nftables' } };
  await node.succeed(t, 'ADD', c);
  t.is(await sourceSeen({ ...way, to: b.netns }), '192.0.2.1');
  t.notRegex(await node.rules(), /CNI-DN/);
});

for (const backend of ['nftables', 'iptables'] as const) {
  test(`${backend}: the host port of a dead pod does not lead to the pod that has its address now`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { backend });
    await node.succeed(t, 'ADD', a.call);
    await node.deletePod('a');
    t.regex(await node.rules(), /8080/);
    // Whatever freed its reservation: b has no host ports, and the address of a.
    const b = await addPod(t, node, 'b', { backend }, []);
    const config = { ...b.config, prevResult: a.config['prevResult'] };
    await node.succeed(t, 'ADD', { ...b.call, config });
    t.notRegex(await node.rules(), /8080/);
  });
}

test('a host port of an address that two networks have goes with its own network', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  const other = { portMappings: [{ ...TCP, hostPort: 8081 }] };
  const b = {
    ...a.call,
    containerID: 'b',
    config: { ...a.config, name: 'net2', runtimeConfig: other },
  };
  const none = { portMappings: [] };
  const c = { ...a.call, containerID: 'c', config: { ...a.config, runtimeConfig: none } };
  for (const call of [a.call, b, c]) await node.succeed(t, 'ADD', call);
  const rules = await node.rules();
  t.notRegex(rules, /8080/);
  t.regex(rules, /8081/);
  await node.succeed(t, 'DEL', b);
  t.is(await node.rules(), '');
});

/** The same conversation, but for something that happens just before its first transaction. */
function disturbed(nftables: Nftables, disturb: () => void): Nftables {
  let isDisturbed = false;
  const commit = (requests: readonly Request[]) => {
    if (!isDisturbed) disturb();
    isDisturbed = true;
    nftables.commit(requests);
  };
  return new Proxy(nftables, {
    get(target, name) {
      const value: unknown = name === 'commit' ? commit : Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const owner = (containerID: string) =>
  ({ network: 'net', containerID, ifName: 'eth0', netns: undefined }) as const;

const forward = (hostPort: number, address: string): Forward => ({
  family: 4,
  hostAddress: undefined,
  protocol: 'tcp',
  hostPort,
  pod: Prefix.parse(address),
  containerPort: 80,
});

test('a DEL that an ADD disturbs leaves nothing of its pod', async (t) => {
  await using node = await TestNode.create();
  using host = openNetns(node.netns);
  using mine = openNftables(host);
  using others = openNftables(host);
  const config = parseWith(PortmapConfig, {}, 'config');
  addMappings(mine, owner('a'), [forward(8080, '10.1.0.5/24')], config);
  const disturb = () => addMappings(others, owner('b'), [forward(8081, '10.1.0.6/24')], config);
  const pods = deleteMappings(disturbed(mine, disturb), owner('a'), true);
  t.deepEqual(pods.map(String), ['10.1.0.5']);
  const rules = await node.rules();
  t.notRegex(rules, /10\.1\.0\.5/);
  t.regex(rules, /10\.1\.0\.6/);
  deleteMappings(mine, owner('b'), true);
  t.is(await node.rules(), '');
});

test('2,000 mappings of a pod are added, checked and deleted', async (t) => {
  await using node = await TestNode.create();
  const mappings = Array.from({ length: 2000 }, (_, index) => ({
    hostPort: 10_000 + index,
    containerPort: 80,
    protocol: 'udp',
  }));
  const a = await addPod(t, node, 'a', {}, mappings);
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  await node.succeed(t, 'DEL', { ...a.call, config: bareConfig(a) });
  t.is(await node.rules(), '');
});

test('the same mapping in several words is one', async (t) => {
  await using node = await TestNode.create();
  const words = [undefined, '', '0.0.0.0', '::'];
  const mappings = words.map((hostIP) => ({ ...TCP, hostIP }));
  const a = await addPod(t, node, 'a', {}, mappings);
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  await node.succeed(t, 'DEL', a.call);
  t.is(await node.rules(), '');
});

test('iptables: ADD again beside DELs of other pods keeps the mappings', async (t) => {
  await using node = await TestNode.create();
  const pods = [];
  for (const index of Array.from({ length: 8 }).keys()) {
    const mappings = [{ ...TCP, hostPort: 8000 + index }];
    pods.push(await addPod(t, node, `p${index}`, { backend: 'iptables' }, mappings));
  }
  await Promise.all(pods.map(({ call }) => node.succeed(t, 'ADD', call)));
  await Promise.all(
    pods.map(({ call }, index) => node.succeed(t, index % 2 === 0 ? 'ADD' : 'DEL', call)),
  );
  for (const { call } of pods.filter((_, index) => index % 2 === 0)) {
    await node.succeed(t, 'CHECK', call);
  }
});

test('ADD makes anew what somebody flushed, though the maps are there', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  const b = await addPod(t, node, 'b', {}, [{ ...TCP, hostPort: 8081 }]);
  await node.succeed(t, 'ADD', a.call);
  await node.run('nft', ['flush', 'table', 'ip', 'cni_portmap']);
  await node.succeed(t, 'ADD', b.call);
  for (const { call } of [a, b]) await node.succeed(t, 'CHECK', call);
});

test('wherever a DEL is killed, the next one leaves nothing', async (t) => {
  if (isSkippedFromSource(t, "too many system calls are not the plugin's")) return;
  await using node = await TestNode.create();
  const conditionsV4 = ['ip', 'saddr', '!=', '198.51.100.0/24'];
  const a = await addPod(t, node, 'a', { conditionsV4 });
  let killed = 0;
  for (let isKilled = true; isKilled;) {
    await node.succeed(t, 'ADD', a.call);
    isKilled = await killAt(node, 'DEL', a.call, 'sendto', killed + 1);
    await node.succeed(t, 'DEL', a.call);
    t.is(await node.rules(), '', `killed at request ${killed + 1}`);
    if (isKilled) killed += 1;
  }
  t.true(killed > 10, `${killed} kills`);
  t.log(`${killed} kill points, nothing left`);
});
