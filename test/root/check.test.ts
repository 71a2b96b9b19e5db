/** CHECK through bridge, ptp and flannel: each thing that somebody may break. Chained plugins' tests have their own. */
import test from 'ava';
import { bridgeConfig, flannelConfig, ipam, ptpConfig, SUBNET_ENV } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';

const SUBNETS = ['10.1.0.0/24', 'fd00:1::/64'];
const KEYS = { cniVersion: '1.1.0', mtu: 1400, ipMasq: true };

const CONFIGS = {
  bridge: (node: TestNode) =>
    bridgeConfig(node, { ...KEYS, ipam: ipam(node, SUBNETS), macspoofchk: true }),
  'bridge by iptables': (node: TestNode) =>
    bridgeConfig(node, { ...KEYS, ipMasqBackend: 'iptables' }),
  ptp: (node: TestNode) =>
    ptpConfig(node, {
      ...KEYS,
      ipam: { ...ipam(node, SUBNETS), routes: [{ dst: '0.0.0.0/0' }] },
    }),
  flannel: (node: TestNode) => flannelConfig(node, '1.1.0'),
} as const;

/** What is done on the host, where VETH is the pod's end there and FOLDER the node's, or "in the pod:"; and what CHECK says. */
type Breakage = readonly [what: string, commands: string, says: RegExp];

const notices = test.macro(async (t, which: keyof typeof CONFIGS, [, commands, says]: Breakage) => {
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const config = CONFIGS[which](node);
  const netns = await node.addPod('a');
  const call = { plugin: config.type, config, netns, containerID: 'a' };
  const { json } = await node.succeed(t, 'ADD', call);
  const check = withResult(call, json);
  await node.succeed(t, 'CHECK', check);
  const veth = json.interfaces.find(({ name }: { name: string }) => name.startsWith('veth')).name;
  const [, inside, outside] = /^(?:in the pod: (.*)|(.*))$/s.exec(commands) ?? [];
  const script = (inside ?? outside ?? '').replaceAll('VETH', veth);
  await node.run('sh', ['-ec', script.replaceAll('FOLDER', node.folder)], inside && netns);
  const answer = await node.call('CHECK', check);
  t.is(answer.exitCode, 1);
  t.regex(answer.json.msg, says);
  await node.succeed(t, 'DEL', check);
  await node.succeed(t, 'DEL', call);
  t.notRegex(await node.rules(), /id: a|CNI-[0-9a-f]/);
  t.deepEqual(await node.ip('link show type veth'), []);
});

const OTHER = '02:22:22:22:22:22';

/** What bridge and ptp have in common. */
const BOTH: readonly Breakage[] = [
  [
    'the interface down',
    'in the pod: ip link set eth0 down',
    /^Container interface "eth0" is down$/,
  ],
  [
    'the interface gone',
    'in the pod: ip link del eth0',
    /^Container interface "eth0" not found in "/,
  ],
  [
    'its name',
    'in the pod: ip link set eth0 down name eth9',
    /^Container interface "eth0" not found in "/,
  ],
  ["the host's end gone", 'ip link del VETH', /^Container interface "eth0" not found in "/],
  [
    'its MTU',
    'in the pod: ip link set eth0 mtu 1300',
    /^Container interface "eth0" has MTU 1300, not 1400$/,
  ],
  [
    "the MTU of the host's end",
    'ip link set VETH mtu 1300',
    /^Host interface "veth\w+" has MTU 1300, not 1400$/,
  ],
  [
    'its MAC',
    `in the pod: ip link set eth0 address ${OTHER}`,
    /^Interface "eth0" has MAC 02:22:22:22:22:22, not /,
  ],
  [
    "the MAC of the host's end",
    `ip link set VETH address ${OTHER}`,
    /^Interface "veth\w+" has MAC 02:22:22:22:22:22, not /,
  ],
  [
    'an address gone',
    'in the pod: ip addr del fd00:1::2/64 dev eth0',
    /^Failed to find "fd00:1::2\/64" on interface "eth0"$/,
  ],
  [
    'another prefix',
    'in the pod: ip addr del 10.1.0.2/24 dev eth0; ip addr add 10.1.0.2/25 dev eth0',
    /^Failed to find "10\.1\.0\.2\/24" on interface "eth0"$/,
  ],
  [
    'the default route gone',
    'in the pod: ip route del default',
    /^Expected route "0\.0\.0\.0\/0 via 10\.1\.0\.1 dev eth0" not found$/,
  ],
  [
    'a masquerading element',
    'nft delete element ip cni_masquerade pods { 10.1.0.2 }',
    /^Masquerading of 10\.1\.0\.2 is missing or was changed$/,
  ],
  [
    'the masquerading hook',
    'nft flush chain ip6 cni_masquerade postrouting',
    /^Masquerading of fd00:1::2 is missing/,
  ],
  [
    'all of masquerading',
    'nft flush ruleset',
    /^Masquerading of 10\.1\.0\.2, fd00:1::2 is missing/,
  ],
  [
    'the reservation',
    'rm FOLDER/networks/net1/10.1.0.2 FOLDER/networks/net1/fd00*',
    /^host-local: Failed to find address added by container a$/,
  ],
];

const BRIDGE: readonly Breakage[] = [
  [
    "the subnet's route",
    'in the pod: ip route del 10.1.0.0/24',
    /^Expected route "10\.1\.0\.0\/24 via none dev eth0" not found$/,
  ],
  ['the port taken out', 'ip link set VETH nomaster', /^"veth\w+" is not a port of bridge "br0"$/],
  [
    'another bridge',
    'ip link add br1 up type bridge; ip link set VETH master br1',
    /^"veth\w+" is not a port of bridge "br0"$/,
  ],
  ['the port down', 'ip link set VETH down', /^Port "veth\w+" does not forward$/],
  [
    'hairpin mode',
    'bridge link set dev VETH hairpin on',
    /^Hairpin mode of port "veth\w+" is true$/,
  ],
  ['isolation', 'bridge link set dev VETH isolated on', /^Isolation of port "veth\w+" is true$/],
  ['the bridge down', 'ip link set br0 down', /^Bridge "br0" is down$/],
  ['the bridge gone', 'ip link del br0', /^bridge "br0" not found$/],
  [
    "the bridge's MAC",
    `ip link set br0 address ${OTHER}`,
    /^Interface "br0" has MAC 02:22:22:22:22:22, not 0a:58:0a:01:00:01$/,
  ],
  [
    "the bridge's addresses",
    'ip addr flush dev br0',
    /^Bridge "br0" does not have the gateway's address 10\.1\.0\.1\/24$/,
  ],
  [
    "one of the bridge's addresses",
    'ip addr del fd00:1::1/64 dev br0',
    /^Bridge "br0" does not have the gateway's address fd00:1::1\/64$/,
  ],
  [
    'the spoof check',
    'nft flush chain bridge nat PREROUTING',
    /^The MAC spoof check of port "veth\w+" is missing or was changed$/,
  ],
  [
    'what the spoof check looks at',
    'nft flush chain bridge nat cni-br-iface-a-eth0',
    /^The MAC spoof check of port "veth\w+" is missing/,
  ],
  [
    "the masquerading policy's rules",
    'nft flush chain ip cni_masquerade $(nft list ruleset | grep -o "net-net1-[0-9a-f]*" | head -n 1)',
    /^Masquerading of 10\.1\.0\.2 is missing/,
  ],
];

const IPTABLES: readonly Breakage[] = [
  ['the jump', 'iptables -t nat -F POSTROUTING', /^Masquerading of 10\.1\.0\.2(\/24)? is missing/],
  [
    'its rules',
    'iptables -t nat -F $(iptables-save -t nat | grep -o "^:CNI-[0-9a-f]*" | tr -d :)',
    /^Masquerading of 10\.1\.0\.2(\/24)? is missing/,
  ],
];

const PTP: readonly Breakage[] = [
  ["the host's end down", 'ip link set VETH down', /^Host interface "veth\w+" is down$/],
  [
    "the host's address",
    'ip addr del fd00:1::1/128 dev VETH',
    /^Host interface "veth\w+" does not have the gateway's address fd00:1::1\/128$/,
  ],
  [
    "the host's route",
    'ip -6 route del fd00:1::2 dev VETH',
    /^Expected route "fd00:1::2\/128 via none dev veth\w+" not found$/,
  ],
  [
    "the gateway's route",
    'in the pod: ip -6 route del fd00:1::1',
    /^Expected route "fd00:1::1\/128 via none dev eth0" not found$/,
  ],
];

const FLANNEL: readonly Breakage[] = [
  [
    'what was saved',
    'rm FOLDER/flannel/a FOLDER/flannel/a:eth0',
    /^No saved delegate config of container "a" in ".*flannel"$/,
  ],
  [
    'what was saved, torn',
    ': > FOLDER/flannel/a:eth0',
    /^No saved delegate config of container "a"/,
  ],
  [
    'what the delegate made',
    'ip addr del 10.244.1.1/24 dev cni0',
    /^Bridge "cni0" does not have the gateway's address 10\.244\.1\.1\/24$/,
  ],
  [
    "a route to the cluster's network",
    'in the pod: ip route del 10.244.0.0/16',
    /^Expected route "10\.244\.0\.0\/16 via 10\.244\.1\.1 dev eth0" not found$/,
  ],
];

for (const [which, list] of [
  ['bridge', [...BOTH, ...BRIDGE]],
  ['bridge by iptables', IPTABLES],
  ['ptp', [...BOTH, ...PTP]],
  ['flannel', FLANNEL],
] as const) {
  for (const breakage of list)
    test(`${which}: CHECK notices: ${breakage[0]}`, notices, which, breakage);
}
