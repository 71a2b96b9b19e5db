/** STATUS: what it answers a runtime, for each thing that may be the matter on a node. */
import test from 'ava';
import {
  bridgeConfig,
  chainedConfig,
  flannelConfig,
  ipam,
  ptpConfig,
  SUBNET_ENV,
} from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

const VERSION = { cniVersion: '1.1.0' };

/** Networks of both families, by the plugin's name. */
const CONFIGS: Readonly<Record<string, (node: TestNode) => object>> = {
  bridge: (node) =>
    bridgeConfig(node, { ...VERSION, ipam: ipam(node, ['10.1.0.0/24', 'fd00:1::/64']) }),
  ptp: (node) => ptpConfig(node, { ...VERSION, ipam: ipam(node, ['10.1.0.0/24', 'fd00:1::/64']) }),
  flannel: (node) => flannelConfig(node, '1.1.0'),
};

/** What is done to a node, in shell, where VETH is the host's end of the second pod's interface, and $VETHS are all; and what STATUS says of it. */
interface Answer {
  readonly plugin: string;
  readonly more?: object | ((node: TestNode) => object);
  /** Before it two pods are added, unless there are to be none. */
  readonly pods?: 0;
  readonly happens?: string;
  /** The programs that the host has; undefined: all. */
  readonly programs?: readonly string[];
  /** Undefined: STATUS succeeds. */
  readonly code?: 50 | 51;
  readonly says?: RegExp;
}

const answers = test.macro(async (t, answer: Answer) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const { plugin, more = {}, programs } = answer;
  const base = CONFIGS[plugin]?.(node) ?? chainedConfig(plugin, VERSION);
  const config = { ...base, ...(typeof more === 'function' ? more(node) : more) };
  let veth = '';
  for (const pod of answer.pods === 0 ? [] : ['a', 'b']) {
    const call = { plugin, config: base, netns: await node.addPod(pod), containerID: pod };
    const { json } = await node.succeed(t, 'ADD', call);
    veth = json.interfaces.find(({ name }: { name: string }) => name.startsWith('veth')).name;
  }
  if (answer.happens !== undefined) {
    const veths = `VETHS=$(ip -o link show type veth | sed 's/^[0-9]*: \\(veth[^@]*\\)@.*/\\1/')`;
    const script = answer.happens.replaceAll('VETH ', `${veth} `).replaceAll('FOLDER', node.folder);
    await node.run('sh', ['-ec', `${veths}\n${script}`]);
  }
  const folder = node.path('programs');
  await node.run('mkdir', [folder]);
  for (const name of ['nsenter', ...(programs ?? [])]) {
    await node.run('ln', ['-s', (await node.run('which', [name])).trim(), `${folder}/${name}`]);
  }
  const env = programs === undefined ? {} : { env: { PATH: folder } };
  const { exitCode, json, stdout } = await node.call('STATUS', {
    plugin,
    config,
    containerID: '',
    ifName: '',
    ...env,
  });
  t.is(json?.code, answer.code, stdout);
  t.is(exitCode, answer.code === undefined ? 0 : 1);
  if (answer.says !== undefined) t.regex(`${json.msg} | ${json.details}`, answer.says);
});

for (const plugin of ['bridge', 'ptp', 'flannel', 'portmap', 'bandwidth']) {
  test(`${plugin}: a fresh node`, answers, { plugin, pods: 0 });
}
for (const plugin of ['bridge', 'ptp', 'flannel']) {
  test(`${plugin}: pods that are well`, answers, { plugin });
  test(`${plugin}: pods that have gone`, answers, {
    plugin,
    happens: 'for link in $VETHS; do ip link del $link; done; sysctl -qw net.ipv4.ip_forward=0',
  });
}

const BROKEN = { ipam: { type: 'no-such' } };
const full = (node: TestNode) => ({ ipam: ipam(node, ['10.1.0.0/30']) });
const noIpam = /failed to find plugin "no-such" in path|no paths provided/;

test('bridge: no IPAM plugin', answers, {
  plugin: 'bridge',
  pods: 0,
  more: BROKEN,
  code: 50,
  says: noIpam,
});
test('ptp: no IPAM plugin', answers, {
  plugin: 'ptp',
  pods: 0,
  more: BROKEN,
  code: 50,
  says: noIpam,
});
test('flannel: no IPAM plugin', answers, {
  plugin: 'flannel',
  pods: 0,
  more: BROKEN,
  code: 50,
  says: noIpam,
});
test('flannel: no delegate', answers, {
  plugin: 'flannel',
  pods: 0,
  more: { delegate: { type: 'no-such' } },
  code: 50,
  says: noIpam,
});
test('flannel: no subnet.env', answers, {
  plugin: 'flannel',
  happens: 'rm FOLDER/subnet.env',
  code: 50,
  says: /failed to load flannel 'subnet\.env' file: .*flanneld has not got a subnet/,
});
test('bridge: all addresses given out, which is told before what cuts pods off', answers, {
  plugin: 'bridge',
  more: full,
  happens: 'ip link set br0 down',
  code: 50,
  says: /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.2/,
});
test('bridge: something else has its name', answers, {
  plugin: 'bridge',
  pods: 0,
  happens: 'ip link add br0 type veth peer name other',
  code: 50,
  says: /"br0" already exists but is not a bridge \| it is of kind "veth"/,
});
for (const plugin of ['bridge', 'ptp']) {
  test(`${plugin}: nothing to masquerade with`, answers, {
    plugin,
    pods: 0,
    more: { ipMasq: true, ipMasqBackend: 'iptables' },
    programs: [],
    code: 50,
    says: /Cannot masquerade: this host has no iptables/,
  });
}
test('portmap: nothing to map ports with', answers, {
  plugin: 'portmap',
  pods: 0,
  more: { backend: 'iptables' },
  programs: [],
  code: 50,
  says: /Cannot map ports: this host has no iptables/,
});
test('portmap: no nft program for conditions', answers, {
  plugin: 'portmap',
  pods: 0,
  more: { conditionsV4: ['ip', 'saddr', '10.0.0.0/8'] },
  programs: [],
  code: 50,
  says: /Cannot map ports under conditions: .*nft/,
});
test('firewall: nothing to open the firewall with', answers, {
  plugin: 'firewall',
  pods: 0,
  programs: [],
  code: 50,
  says: /Cannot open the firewall for pods: this host has no iptables/,
});

const CUT_OFF: readonly (readonly [string, string, RegExp])[] = [
  [
    'the bridge is gone',
    'ip link del br0',
    /network "net1" are cut off: bridge "br0" is gone, which had the ports veth\w+, veth\w+ \|/,
  ],
  [
    'another bridge of the name',
    'ip link del br0; ip link add br0 up type bridge',
    /these are no ports of bridge "br0": veth\w+, veth\w+ \|/,
  ],
  [
    'a port of no bridge',
    'ip link set VETH nomaster',
    /these are no ports of bridge "br0": VETH \|/,
  ],
  [
    'a port of another bridge',
    'ip link add br1 type bridge; ip link set VETH master br1',
    /these are no ports of bridge "br0": VETH \|/,
  ],
  [
    'the bridge is down',
    'ip link set br0 down',
    /Bridge "br0" is down: its pods are cut off \| ip link set br0 up/,
  ],
  [
    'the bridge has no address',
    'ip addr flush dev br0',
    /"br0" does not have the gateway's address 10\.1\.0\.1\/24: .*it has none\. .* ip addr add 10\.1\.0\.1\/24 dev br0/,
  ],
  [
    'the bridge has one family',
    'ip addr del fd00:1::1/64 dev br0',
    /does not have the gateway's address fd00:1::1\/64: .*it has 10\.1\.0\.1\/24/,
  ],
  [
    'no IPv4 forwarding',
    'sysctl -qw net.ipv4.ip_forward=0',
    /forwards no IPv4 packets: net\.ipv4\.ip_forward is 0, not 1/,
  ],
  [
    'no IPv6 forwarding',
    'sysctl -qw net.ipv6.conf.all.forwarding=0',
    /forwards no IPv6 packets: net\.ipv6\.conf\.all\.forwarding is 0, not 1/,
  ],
];
for (const [what, happens, says] of CUT_OFF) {
  test(`bridge: ${what}`, answers, {
    plugin: 'bridge',
    happens,
    code: 51,
    says: new RegExp(says.source.replaceAll('VETH', String.raw`veth\w+`)),
  });
}
const flushed = 'ip addr flush dev VETH ';
test('bridge: no address, by an IPAM plugin that names no gateway', answers, {
  plugin: 'bridge',
  more: { ipam: { type: 'static', addresses: [{ address: '10.1.0.9/24' }] } },
  happens: 'ip addr flush dev br0',
  code: 51,
  says: /"br0" does not have an address: /,
});
test(
  "bridge: a bridge without pods of the network may be as it likes: it is somebody else's",
  answers,
  {
    plugin: 'bridge',
    happens:
      'for link in $VETHS; do ip link set $link alias ""; done; ip addr flush dev br0; ip link set br0 down; echo 0 > /proc/sys/net/ipv4/ip_forward',
  },
);
test('ptp: an end is down', answers, {
  plugin: 'ptp',
  happens: 'ip link set VETH down',
  code: 51,
  says: /Pods of network "net1" are cut off: veth\w+ is down \|/,
});
test('ptp: an end has no address', answers, {
  plugin: 'ptp',
  happens: flushed,
  code: 51,
  says: /cut off: veth\w+ does not have the gateway's address/,
});
test('ptp: no forwarding', answers, {
  plugin: 'ptp',
  happens: 'sysctl -qw net.ipv6.conf.all.forwarding=0',
  code: 51,
  says: /forwards no IPv6 packets/,
});
test('flannel: the delegate says that the bridge is gone', answers, {
  plugin: 'flannel',
  happens: 'ip link del cni0',
  code: 51,
  says: /network "cbr0" are cut off: bridge "cni0" is gone/,
});
test("flannel: the bridge lacks this node's gateway, whoever made the pods", answers, {
  plugin: 'flannel',
  happens: `for link in $VETHS; do ip link set $link alias ""; done; ip addr flush dev cni0; ip addr add 192.0.2.1/24 dev cni0`,
  code: 51,
  says: /Bridge "cni0" does not have 10\.244\.1\.1\/24, the gateway of this node's subnet in ".*subnet\.env"/,
});
test('flannel: a subnet that is not that of the bridge in use', answers, {
  plugin: 'flannel',
  happens: 'sed -i s/10.244.1.1/10.244.2.1/ FOLDER/subnet.env',
  code: 50,
  says: /says this node's subnet is 10\.244\.2\.0\/24, but "cni0" already has an IP address different from/,
});
