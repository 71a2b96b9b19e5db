/** Our portmap beside the reference plugin, on a live node in both directions; and what it costs in processes. */
import test from 'ava';
import { isSkippedFromSource, REFERENCE_BIN, TestNode } from '#test/node.ts';
import { processesOf } from '#test/trace.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { bareConfig, portmapPods } from './pods.ts';

const REFERENCE = `${REFERENCE_BIN}/portmap`;

const MAPPINGS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 5353, containerPort: 53, protocol: 'udp' },
  { hostPort: 8081, containerPort: 81, protocol: 'tcp', hostIP: '127.0.0.1' },
  ...Array.from({ length: 20 }, (_, index) => ({
    hostPort: 9000 + index,
    containerPort: 90,
    protocol: 'tcp',
  })),
];

const addPod = portmapPods(MAPPINGS);

/** nat tables of both families, without counters and the time. */
async function natRules(node: TestNode): Promise<string> {
  const texts = [];
  for (const program of ['iptables-save', 'ip6tables-save']) {
    texts.push(await node.run(program, ['-t', 'nat']));
  }
  return texts
    .join('\n')
    .replaceAll(/^#.*$/gm, '')
    .replaceAll(/\[\d+:\d+\]/g, '');
}

/** Lines in any order; the reference plugin names ports of the other family's mappings too, which lead nowhere. */
const tidy = (text: string): string[] =>
  text
    .replaceAll(/--dports \S+/g, '--dports X')
    .split('\n')
    // How to tell that the container is gone: ours alone.
    .filter((line) => !/--comment "netns [^"]*"$/.test(line))
    .toSorted();

test('backend iptables makes the rules that the reference plugin makes', async (t) => {
  const rules: string[] = [];
  for (const plugin of ['portmap', REFERENCE]) {
    await using node = await TestNode.create();
    const a = await addPod(t, node, 'a', { backend: 'iptables' });
    await node.succeed(t, 'ADD', { ...a.call, plugin });
    rules.push(await natRules(node));
  }
  const [own = '', reference = ''] = rules;
  t.deepEqual(tidy(own), tidy(reference));
});

for (const [adds, deletes] of [
  [REFERENCE, 'portmap'],
  ['portmap', REFERENCE],
] as const) {
  const way = adds === REFERENCE ? "our DEL removes the reference's rules" : 'its DEL removes ours';
  test(`${way}, and a host port works in between`, async (t) => {
    await using node = await TestNode.create();
    const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
    const a = await addPod(t, node, 'a', { backend: 'iptables' });
    const b = await addPod(t, node, 'b', {
      backend: 'iptables',
      name: 'net2',
      runtimeConfig: { portMappings: [{ hostPort: 8088, containerPort: 80, protocol: 'tcp' }] },
    });
    await node.succeed(t, 'ADD', { ...a.call, plugin: adds });
    await node.succeed(t, 'ADD', { ...b.call, plugin: adds });
    const address = { from: outside, address: '192.0.2.254' };
    t.is(await sourceSeen({ ...address, to: a.netns, port: 8080, serverPort: 80 }), '192.0.2.1');
    await node.succeed(t, 'CHECK', { ...b.call, plugin: 'portmap' });
    const config = deletes === REFERENCE ? a.config : bareConfig(a);
    await node.succeed(t, 'DEL', { ...a.call, config, plugin: deletes });
    const left = await natRules(node);
    t.notRegex(left, /10\.1\.0\.2|fd00:1::2|8080|5353/);
    t.regex(left, /8088/, "the other pod's rules stay");
    t.is(await sourceSeen({ ...address, to: b.netns, port: 8088, serverPort: 80 }), '192.0.2.1');
  });
}

test("our DEL removes the rules of the reference's nftables backend, of its own network alone", async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  // As plugins 1.6 and later write them; Debian has an older release.
  node.writeFile(
    'rules.nft',
    `table ip cni_hostport {
  chain hostports {
    tcp dport 8080 dnat to 10.1.0.2:80 comment "a"
    tcp dport 8081 dnat to 10.9.0.2:80 comment "a"
    tcp dport 8082 dnat to 10.1.0.3:80 comment "b"
  }
  chain hostip_hostports { }
  chain masquerading {
    type nat hook postrouting priority srcnat;
    ip saddr 10.1.0.2 ip daddr 10.1.0.2 masquerade comment "a"
    ip saddr 127.0.0.1 ip daddr 10.1.0.2 masquerade comment "a"
  }
}`,
  );
  await node.run('nft', ['-f', node.path('rules.nft')]);
  await node.succeed(t, 'DEL', a.call);
  const rules = await node.rules();
  t.notRegex(rules, /10\.1\.0\.2/);
  t.regex(rules, /10\.9\.0\.2/);
  t.regex(rules, /10\.1\.0\.3/);
  await node.succeed(t, 'DEL', { plugin: 'portmap', config: bareConfig(a), containerID: 'a' });
  t.notRegex(await node.rules(), /10\.9\.0\.2/);
  t.regex(await node.rules(), /10\.1\.0\.3/);
});

test('what legacy iptables holds is removed as well', async (t) => {
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a', { backend: 'iptables' });
  const folder = node.path('legacy');
  await node.run('mkdir', [folder]);
  for (const name of ['iptables', 'ip6tables']) {
    for (const ending of ['', '-save', '-restore']) {
      await node.run('ln', [
        '-s',
        `/usr/sbin/${name}-legacy${ending}`,
        `${folder}/${name}${ending}`,
      ]);
    }
  }
  const PATH = `${folder}:${process.env['PATH']}`;
  await node.succeed(t, 'ADD', { ...a.call, env: { PATH } });
  t.regex(
    await node.run('iptables-legacy-save', []),
    /CNI-DN-[0-9a-f]+ .*--to-destination 10\.1\.0\.2:80/,
  );
  await node.succeed(t, 'CHECK', { ...a.call, env: { PATH } });
  await node.succeed(t, 'DEL', { plugin: 'portmap', config: bareConfig(a), containerID: 'a' });
  for (const program of ['iptables-legacy-save', 'ip6tables-legacy-save']) {
    t.notRegex(await node.run(program, []), /CNI-DN|8080/);
  }
});

test('nftables: neither ADD nor DEL starts a process', async (t) => {
  if (isSkippedFromSource(t, 'Node itself is the process')) return;
  await using node = await TestNode.create();
  const a = await addPod(t, node, 'a');
  for (const command of ['ADD', 'DEL']) {
    const { exitCode, executed, made } = await processesOf(node, command, a.call);
    t.is(exitCode, 0);
    t.is(executed.length, 1);
    t.deepEqual(made, []);
  }
});
