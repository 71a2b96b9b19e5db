/** portmap: results of every version, CHECK, many calls at once. */
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { addBridgePod, addPortmapPod, portmapPods } from './pods.ts';

const TCP = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };

const addPod = portmapPods([TCP]);

for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
  test(`${cniVersion}: the result of the plugin before is passed on, with mappings or without`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { cniVersion });
    const { json } = await node.succeed(t, 'ADD', a.call);
    t.deepEqual(json, a.config['prevResult']);
    const config = { ...a.config, runtimeConfig: undefined };
    t.deepEqual((await node.succeed(t, 'ADD', { ...a.call, config })).json, json);
  });
}

test('CHECK finds nothing wrong with mappings that do not masquerade', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a', { snat: false });
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
});

const BREAKAGES = {
  'an element gone': 'delete element ip cni_portmap hostports { tcp . 8080 }',
  'its target gone': 'delete element ip6 cni_portmap targets { tcp . 8080 }',
  'the hook flushed': 'flush chain ip cni_portmap prerouting',
  'masquerading flushed': 'flush chain ip cni_portmap masquerade-13',
  'all gone': 'flush ruleset',
};

for (const [what, command] of Object.entries(BREAKAGES)) {
  test(`CHECK notices: ${what}; DEL works all the same`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a');
    await node.succeed(t, 'ADD', a.call);
    await node.succeed(t, 'CHECK', a.call);
    await node.run('nft', [command]);
    const { json } = await node.call('CHECK', a.call);
    t.regex(json.msg, /Mapping of host port 8080\/tcp(, 8080\/tcp)? is missing or was changed/);
    await node.succeed(t, 'DEL', a.call);
    t.is(await node.rules(), '');
  });
}

/** The same by iptables; CHAIN is the container's own. */
const IPTABLES_BREAKAGES = {
  'the entry gone': 'iptables -t nat -F CNI-HOSTPORT-DNAT',
  'its translation gone': 'ip6tables -t nat -F CHAIN',
  'a hook gone': 'iptables -t nat -F OUTPUT',
  'all gone': 'nft flush ruleset',
};

for (const [what, command] of Object.entries(IPTABLES_BREAKAGES)) {
  test(`iptables: CHECK notices: ${what}; DEL works all the same`, async (t) => {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { backend: 'iptables' });
    await node.succeed(t, 'ADD', a.call);
    await node.succeed(t, 'CHECK', a.call);
    const [chain = ''] = /CNI-DN-\w+/.exec(await node.rules()) ?? [];
    await node.run('sh', ['-c', command.replace('CHAIN', chain)]);
    const { json } = await node.call('CHECK', a.call);
    t.regex(json.msg, /Mapping of host port 8080\/tcp(, 8080\/tcp)? is missing or was changed/);
    await node.succeed(t, 'DEL', a.call);
    t.notRegex(await node.rules(), /CNI-DN/);
  });
}

test('40 ADDs at once on a fresh node, two for each port: one of them gets it', async (t) => {
  await using node = await TestNode.create();
  const pods = [];
  for (const index of Array.from({ length: 40 }).keys()) {
    const netns = await node.addPod(`p${index}`);
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: netns }],
      ips: [{ address: `10.1.0.${index + 2}/24`, interface: 0 }],
    };
    const portMappings = [{ ...TCP, hostPort: 8000 + (index >> 1) }];
    const config = chainedConfig('portmap', { prevResult, runtimeConfig: { portMappings } });
    pods.push({ plugin: 'portmap', config, netns, containerID: `p${index}` });
  }
  const answers = await Promise.all(pods.map((pod) => node.call('ADD', pod)));
  for (let index = 0; index < answers.length; index += 2) {
    const codes = answers.slice(index, index + 2).map(({ exitCode }) => exitCode);
    t.is(codes.filter((code) => code === 0).length, 1);
  }
  const refusals = answers.filter(({ exitCode }) => exitCode !== 0);
  for (const { json } of refusals) t.regex(json.msg, /is already held by container id: p\d+/);
  await Promise.all(pods.map((pod) => node.succeed(t, 'DEL', pod)));
  t.is(await node.rules(), '');
});

test('sctp, and keys in the letter case of the runtime', async (t) => {
  await using node = await TestNode.create();
  const mappings = [{ HostPort: 9000, ContainerPort: 90, Protocol: 'SCTP', HostIP: '' }];
  const a = await addBridgePod(t, node, 'a', {
    type: 'portmap',
    runtimeConfig: { PortMappings: mappings },
  });
  await node.succeed(t, 'ADD', a.call);
  await node.succeed(t, 'CHECK', a.call);
  t.regex(await node.rules(), /sctp \. 9000 : 10\.1\.0\.2 \. 90/);
});

test('a chain that marks is missing in one family: ADD names chain, family and who makes it, and leaves nothing', async (t) => {
  await using node = await TestNode.create();
  await node.run('iptables', ['-t', 'nat', '-N', 'KUBE-MARK-MASQ']);
  const { call } = await addPortmapPod(t, node, 'a', [{ hostPort: 8080, containerPort: 80 }], {
    externalSetMarkChain: 'KUBE-MARK-MASQ',
  });
  const before = await node.rules();
  const { json } = await node.call('ADD', call);
  t.is(json.code, 11);
  t.regex(
    json.msg,
    /Chain "KUBE-MARK-MASQ" of "externalSetMarkChain" is not in table nat of IPv6$/,
  );
  t.regex(json.details, /kube-proxy/);
  t.is(await node.rules(), before);
});

test('an ADD by iptables that fails takes the shared chains along that it made, and no others', async (t) => {
  await using node = await TestNode.create();
  const mapping = [{ hostPort: 8080, containerPort: 80 }];
  const keys = { backend: 'iptables', conditionsV6: ['-s', 'no-address'] };
  const { call } = await addPortmapPod(t, node, 'a', mapping, keys);
  t.is((await node.call('ADD', call)).exitCode, 1);
  t.notRegex(await node.rules(), /CNI-/);
  const other = await addPortmapPod(t, node, 'b', [{ hostPort: 9090, containerPort: 80 }], {
    backend: 'iptables',
  });
  await node.succeed(t, 'ADD', other.call);
  const before = await node.rules();
  t.is((await node.call('ADD', call)).exitCode, 1);
  t.is(await node.rules(), before);
});
