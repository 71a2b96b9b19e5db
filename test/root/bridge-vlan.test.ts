/**
 * bridge with VLANs: who reaches whom, which VLANs ports have, and what an administrator's bridge keeps. The kernel must filter VLANs;
 * `npm run test:kernels` boots ones that do.
 */
import test, { type ExecutionContext } from 'ava';
import { bridgeConfig, ipam } from '#test/configs.ts';
import { canFilterVlans, skip } from '#test/kernel.ts';
import { TestNode } from '#test/node.ts';
import { answersPing } from '#test/traffic.ts';

/** A test on a node whose kernel filters VLANs. */
const vlanTest = (title: string, run: (t: ExecutionContext, node: TestNode) => Promise<void>) =>
  test(title, async (t) => {
    await using node = await TestNode.create();
    if (await canFilterVlans(node)) await run(t, node);
    else skip(t, "this kernel's bridges filter no VLANs");
  });

/** A network of layer 2 without a gateway; its pods have addresses of one subnet, whatever their VLAN. */
const layer2 = (node: TestNode, more: Readonly<Record<string, unknown>>) =>
  bridgeConfig(node, { isDefaultGateway: false, ...more });

/** A network that is a VLAN with a gateway and a subnet of its own, all with one number. */
const routed = (node: TestNode, vlan: number) =>
  bridgeConfig(node, {
    cniVersion: '1.1.0',
    name: `net${vlan}`,
    vlan,
    ipam: ipam(node, [`10.1.${vlan}.0/24`, `fd00:${vlan}::/64`]),
  });

interface VlanPod {
  readonly netns: string;
  readonly address: string;
  /** Name of its port. */
  readonly port: string;
  /** The call that added it. */
  readonly call: { plugin: 'bridge'; config: object; netns: string; containerID: string };
}

/** Adds a pod, and lets CHECK look at it. */
async function addPod(
  t: ExecutionContext,
  node: TestNode,
  containerID: string,
  config: object,
): Promise<VlanPod> {
  const netns = await node.addPod(containerID);
  const call = { plugin: 'bridge', config, netns, containerID } as const;
  const { json } = await node.succeed(t, 'ADD', call);
  await node.succeed(t, 'CHECK', { ...call, config: { ...config, prevResult: json } });
  const address = json.ips[0].address.split('/')[0];
  return { netns, address, port: json.interfaces[1].name, call };
}

/** The flags of an access VLAN. */
const ACCESS = 'PVID,Egress Untagged';

/** VLANs of an interface in the order of their numbers, with their flags. */
async function vlansOf(node: TestNode, dev: string): Promise<string[]> {
  const text = await node.run('bridge', ['-j', 'vlan', 'show', 'dev', dev]);
  const [link] = JSON.parse(text) as { vlans: { vlan: number; flags?: string[] }[] }[];
  return (link?.vlans ?? []).map(({ vlan, flags = [] }) => `${vlan} ${flags.join()}`.trim());
}

/** Names of the bridge's ports. */
async function portsOf(node: TestNode): Promise<string[]> {
  const ports = (await node.ip('link show master br0')) as { ifname: string }[];
  return ports.map(({ ifname }) => ifname);
}

vlanTest(
  'pods of one access VLAN reach each other, those of different VLANs of one bridge do not',
  async (t, node) => {
    const a = await addPod(t, node, 'a', layer2(node, { vlan: 10 }));
    const b = await addPod(t, node, 'b', layer2(node, { vlan: 10 }));
    const c = await addPod(t, node, 'c', layer2(node, { vlan: 20 }));
    t.deepEqual(await vlansOf(node, a.port), [`10 ${ACCESS}`]);
    t.deepEqual(await vlansOf(node, c.port), [`20 ${ACCESS}`]);
    t.true(await answersPing(a.netns, b.address));
    t.true(await answersPing(b.netns, a.address));
    t.false(await answersPing(a.netns, c.address));
    await node.succeed(t, 'DEL', a.call);
    await node.succeed(t, 'DEL', a.call);
    t.deepEqual((await portsOf(node)).toSorted(), [b.port, c.port].toSorted());
  },
);

/** Gives a pod a sub-interface of a VLAN, as software in it would. @returns its address */
async function tag(node: TestNode, { netns }: VlanPod, vlan: number, host: number) {
  const name = `eth0.${vlan}`;
  const address = `192.168.${vlan}.${host}`;
  const link = ['link', 'add', 'link', 'eth0', 'name', name, 'up', 'type', 'vlan', 'id', `${vlan}`];
  await node.run('ip', link, netns);
  await node.run('ip', ['addr', 'add', `${address}/24`, 'dev', name], netns);
  return address;
}

vlanTest(
  'vlanTrunk: tagged frames of its VLANs get through, of others not, untagged ones are in VLAN 1',
  async (t, node) => {
    const config = layer2(node, { vlanTrunk: [{ id: 7 }, { minID: 200, maxID: 202 }] });
    const a = await addPod(t, node, 'a', config);
    const b = await addPod(t, node, 'b', config);
    t.deepEqual(await vlansOf(node, a.port), [`1 ${ACCESS}`, '7', '200', '201', '202']);
    t.true(await answersPing(a.netns, b.address), 'untagged');
    for (const vlan of [7, 8, 202]) {
      await tag(node, a, vlan, 1);
      const address = await tag(node, b, vlan, 2);
      t.is(await answersPing(a.netns, address), vlan !== 8, `tagged with ${vlan}`);
    }
  },
);

vlanTest(
  'vlan and vlanTrunk of one port: untagged frames are in the access VLAN, tagged ones in the trunk',
  async (t, node) => {
    const trunk = await addPod(t, node, 'a', layer2(node, { vlan: 10, vlanTrunk: [{ id: 7 }] }));
    const ten = await addPod(t, node, 'b', layer2(node, { vlan: 10 }));
    const seven = await addPod(t, node, 'c', layer2(node, { vlan: 7 }));
    t.deepEqual(await vlansOf(node, trunk.port), ['7', `10 ${ACCESS}`]);
    const tagged = await tag(node, trunk, 7, 1);
    for (const [{ netns }, last] of [
      [ten, 3],
      [seven, 2],
    ] as const)
      await node.run('ip', ['addr', 'add', `192.168.7.${last}/24`, 'dev', 'eth0'], netns);
    t.true(await answersPing(ten.netns, trunk.address));
    t.false(await answersPing(seven.netns, trunk.address));
    t.true(await answersPing(seven.netns, tagged));
    t.false(await answersPing(ten.netns, tagged));
  },
);

vlanTest(
  'several VLANs on one bridge: each has its gateway br0.ID, and the host routes between them',
  async (t, node) => {
    const a = await addPod(t, node, 'a', routed(node, 10));
    const b = await addPod(t, node, 'b', routed(node, 10));
    const c = await addPod(t, node, 'c', routed(node, 20));
    for (const [vlan, pod] of [
      [10, a],
      [20, c],
    ] as const) {
      const [{ addr_info: own }] = await node.ip(`addr show dev br0.${vlan}`);
      const addresses = (own as { local: string; scope: string }[])
        .filter(({ scope }) => scope === 'global')
        .map(({ local }) => local);
      t.deepEqual(addresses, [`10.1.${vlan}.1`, `fd00:${vlan}::1`]);
      for (const address of addresses) t.true(await answersPing(pod.netns, address), address);
    }
    t.true(await answersPing(a.netns, b.address));
    t.true(await answersPing(a.netns, c.address), 'by the host');
    const ports = await portsOf(node);
    const vlans = await Promise.all(ports.map((port) => vlansOf(node, port)));
    t.deepEqual(
      vlans.map(String).toSorted(),
      [10, 10, 10, 20, 20].map((vlan) => `${vlan} ${ACCESS}`),
      'three pods and two gateways',
    );
    await node.succeed(t, 'STATUS', a.call);
    for (const { call } of [a, b, c]) await node.succeed(t, 'DEL', call);
    t.is((await portsOf(node)).length, 2, 'the gateways stay');
  },
);

/** A bridge as an administrator makes it: with VLANs of its own, and a port that carries them to another namespace. */
const ADMINISTRATOR = `
ip link add br0 up type bridge vlan_filtering 1 vlan_default_pvid 0
bridge vlan add vid 10 dev br0 self
bridge vlan add vid 30 dev br0 self
ip link add admin0 up type veth peer name eth0 netns NETNS
ip link set admin0 master br0
bridge vlan add vid 10 dev admin0 pvid untagged
bridge vlan add vid 30 dev admin0
ip -n NETNS link set eth0 up
ip -n NETNS addr add 10.1.0.200/24 dev eth0`;

vlanTest(
  "an administrator's bridge keeps its settings, VLANs and ports, and pods join its VLANs",
  async (t, node) => {
    const netns = await node.addPod('admin');
    const script = ADMINISTRATOR.replaceAll('NETNS', netns.slice('/run/netns/'.length));
    await node.run('sh', ['-ec', script]);
    const look = async () => {
      const [{ linkinfo, mtu }] = await node.ip('link show br0');
      const { vlan_filtering, vlan_default_pvid, stp_state } = linkinfo.info_data;
      const settings = { vlan_filtering, vlan_default_pvid, stp_state, mtu };
      return [settings, await vlansOf(node, 'br0'), await vlansOf(node, 'admin0')];
    };
    const before = await look();
    t.deepEqual(before.slice(1), [
      ['10', '30'],
      [`10 ${ACCESS}`, '30'],
    ]);
    const a = await addPod(t, node, 'a', layer2(node, { vlan: 10 }));
    const b = await addPod(t, node, 'b', layer2(node, { vlan: 20 }));
    t.deepEqual(await look(), before);
    t.deepEqual(await vlansOf(node, a.port), [`10 ${ACCESS}`]);
    t.true(await answersPing(a.netns, '10.1.0.200'));
    t.false(await answersPing(b.netns, '10.1.0.200'));
    const c = await addPod(t, node, 'c', routed(node, 30));
    t.deepEqual(await look(), before, 'with a gateway for a VLAN');
    t.true(await answersPing(c.netns, '10.1.30.1'));
    for (const { call } of [a, b, c]) await node.succeed(t, 'DEL', call);
    t.deepEqual(await look(), before);
    t.true((await portsOf(node)).includes('admin0'));
  },
);

vlanTest(
  'preserveDefaultVlan keeps the port in VLAN 1; untagged frames enter the access VLAN all the same',
  async (t, node) => {
    const kept = await addPod(t, node, 'a', layer2(node, { vlan: 10, preserveDefaultVlan: true }));
    const left = await addPod(t, node, 'b', layer2(node, { vlan: 10 }));
    t.deepEqual(await vlansOf(node, kept.port), ['1 Egress Untagged', `10 ${ACCESS}`]);
    t.deepEqual(await vlansOf(node, left.port), [`10 ${ACCESS}`]);
    t.true(await answersPing(left.netns, kept.address));
    t.true(await answersPing(kept.netns, left.address));
  },
);
