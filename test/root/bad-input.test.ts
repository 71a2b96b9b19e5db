/** Bad input: always one JSON error with the right code, exit 1, no stack trace, nothing made or changed. */
import test from 'ava';
import { flannelConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { type BadCall, bridgeWith, config, refuses } from './refuses.ts';

for (const plugin of ['flannel', 'bridge', 'host-local', 'loopback', 'static', 'ptp']) {
  const cases: Record<string, BadCall> = {
    'empty input': { code: 6, message: /unexpected end of JSON input/, call: { config: '' } },
    'truncated input': {
      code: 6,
      message: /error unmarshall network config/,
      call: { config: '{"name": "x", "type"' },
    },
    'input that is no JSON': {
      code: 6,
      message: /error unmarshall/,
      call: { config: '\0\x01\x02' },
    },
    'an array': { code: 6, message: /must be a JSON object/, call: { config: '[]' } },
    null: { code: 6, message: /must be a JSON object/, call: { config: 'null' } },
    'no name': {
      code: 7,
      message: /missing network name/,
      call: { config: '{"cniVersion":"1.0.0"}' },
    },
    'a name that climbs': {
      code: 7,
      message: /invalid characters found in network name \| \.\.\/x/,
      call: { config: '{"cniVersion":"1.0.0","name":"../x"}' },
    },
    'a version from the future': {
      code: 1,
      message: /incompatible CNI versions \| config is "9\.9\.9", plugin supports \["0\.1\.0"/,
      call: { config: '{"cniVersion":"9.9.9","name":"x"}' },
    },
    'a version that is none': {
      code: 7,
      message: /"cniVersion" must be a string/,
      call: { config: '{"cniVersion":{},"name":"x"}' },
    },
    'an unknown command': { code: 4, message: /unknown CNI_COMMAND: FROB/, command: 'FROB' },
    'an unknown command with broken input': {
      code: 6,
      message: /error unmarshall/,
      command: 'FROB',
      call: { config: '{' },
    },
    'missing variables': {
      code: 4,
      message: /required env variables \[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME\] missing/,
      call: { containerID: '', netns: '', ifName: '' },
    },
    'a container ID that climbs': {
      code: 4,
      message: /invalid characters in containerID \| CNI_CONTAINERID is "\.\.\/x"/,
      call: { containerID: '../x' },
    },
    'an interface name of 16 bytes': {
      code: 4,
      message: /interface name is too long/,
      call: { ifName: 'abcdefghijklmnop' },
    },
    'an interface name with a slash': {
      code: 4,
      message: /contains \/ or : or whitespace/,
      call: { ifName: 'a/b' },
    },
    'CHECK before 0.4.0': {
      code: 1,
      message: /config version does not allow CHECK/,
      command: 'CHECK',
      call: (node) => ({ config: { ...flannelConfig(node, '0.3.1'), type: plugin } }),
    },
    'GC before 1.1.0': {
      code: 1,
      message: /config version does not allow GC/,
      command: 'GC',
      call: (node) => ({ config: { ...flannelConfig(node, '1.0.0'), type: plugin } }),
    },
    'a spoilt prevResult': {
      code: 7,
      message: /Invalid prevResult/,
      call: (node) => ({ config: { ...flannelConfig(node, '1.0.0'), prevResult: { ips: 7 } } }),
    },
  };
  for (const [what, bad] of Object.entries(cases)) test(`${plugin}: ${what}`, refuses, plugin, bad);
}

for (const plugin of ['flannel', 'bridge', 'loopback', 'ptp']) {
  test(`${plugin}: a CNI_NETNS that is not there`, refuses, plugin, {
    code: 8,
    message: /failed to open netns "\/run\/netns\/none": no such file or directory/,
    call: { netns: '/run/netns/none' },
  });
  test(`${plugin}: a CNI_NETNS that is not a namespace`, refuses, plugin, {
    code: 8,
    message: /failed to open netns "\/etc\/passwd": unknown FS magic/,
    call: { netns: '/etc/passwd' },
  });
  test(`${plugin}: the plugin's own namespace`, refuses, plugin, {
    code: 8,
    message: /should not be the same/,
    call: (node) => ({ netns: node.netns }),
  });
}

test('flannel: a delegate without a textual type', refuses, 'flannel', {
  code: 7,
  message: /'delegate' dictionary, if present, must have \(string\) 'type' field/,
  call: config((node) => ({ ...flannelConfig(node), delegate: { type: 7 } })),
});
test('flannel: a delegate with ipam', refuses, 'flannel', {
  code: 7,
  message: /must not have 'ipam' field, it'll be set by flannel/,
  call: config((node) => ({ ...flannelConfig(node), delegate: { ipam: {} } })),
});
test('flannel: a delegate that is not installed', refuses, 'flannel', {
  code: 999,
  message: /failed to find plugin "frob" in path/,
  call: config((node) => ({ ...flannelConfig(node), delegate: { type: 'frob' } })),
});
test('flannel: a delegate that climbs', refuses, 'flannel', {
  code: 999,
  message: /invalid plugin name: \.\.\/frob/,
  call: config((node) => ({ ...flannelConfig(node), delegate: { type: '../frob' } })),
});

test('bridge: a wrongly typed key', refuses, 'bridge', {
  code: 7,
  message: /"mtu" must be a number, not "big"/,
  call: bridgeWith({ mtu: 'big' }),
});
test('bridge: a bridge name that climbs', refuses, 'bridge', {
  code: 7,
  message: /interface name contains \//,
  call: bridgeWith({ bridge: '../../x' }),
});
test('bridge: hairpin and promiscuous', refuses, 'bridge', {
  code: 7,
  message: /cannot set hairpin mode and promiscuous mode at the same time/,
  call: bridgeWith({ hairpinMode: true, promiscMode: true }),
});
test('bridge: IPAM with the interface down', refuses, 'bridge', {
  code: 7,
  message: /cannot use IPAM when DisableContainerInterface/,
  call: bridgeWith({ disableContainerInterface: true }),
});
test('bridge: a VLAN out of range', refuses, 'bridge', {
  code: 7,
  message: /invalid VLAN ID 4095 \(must be between 0 and 4094\)/,
  call: bridgeWith({ vlan: 4095 }),
});
test('bridge: half a VLAN range', refuses, 'bridge', {
  code: 7,
  message: /minID and maxID should be configured simultaneously, maxID is missing/,
  call: bridgeWith({ vlanTrunk: [{ minID: 3 }] }),
});
test('bridge: more VLAN ranges than there are VLANs', refuses, 'bridge', {
  code: 7,
  message: /"vlanTrunk" must have at most 4094 entries/,
  call: bridgeWith({ vlanTrunk: Array.from({ length: 4095 }, () => ({ minID: 1, maxID: 4094 })) }),
});
test('bridge: an unknown backend', refuses, 'bridge', {
  code: 7,
  message: /"ipMasqBackend" must be "nftables" or "iptables"/,
  call: bridgeWith({ ipMasq: true, ipMasqBackend: 'ebtables' }),
});
test('bridge: a MAC that is none', refuses, 'bridge', {
  code: 7,
  message: /"runtimeConfig\.mac" "zz" is not a MAC address/,
  call: bridgeWith({ runtimeConfig: { mac: 'zz' } }),
});
test('bridge: no addresses before 0.3.0, whose results have no shape for that', refuses, 'bridge', {
  code: 7,
  message: /cannot convert: no valid IP addresses/,
  call: bridgeWith({ cniVersion: '0.2.0', ipam: undefined }),
});
test('bridge: CNI_ARGS with a bad pair', refuses, 'bridge', {
  code: 4,
  message: /ARGS: invalid pair "MAC"/,
  call: { args: 'MAC' },
});
test('bridge: CNI_ARGS with an unknown key', refuses, 'bridge', {
  code: 4,
  message: /ARGS: unknown args \["FOO"\]/,
  call: { args: 'FOO=1' },
});
test('bridge: an IPAM plugin that is bridge', refuses, 'bridge', {
  code: 7,
  message: /Plugins delegate to each other in a circle/,
  call: bridgeWith({ ipam: { type: 'bridge' } }),
});
test('bridge: an IPAM plugin that is not installed', refuses, 'bridge', {
  code: 999,
  message: /failed to find plugin "frob"/,
  call: bridgeWith({ ipam: { type: 'frob' } }),
});

test('input without end is refused', async (t) => {
  await using node = await TestNode.create();
  const { json, exitCode } = await node.call('ADD', {
    plugin: 'host-local',
    config: ' '.repeat(17 * 1024 * 1024),
    netns: '/x',
  });
  t.is(exitCode, 1);
  t.is(json.code, 5);
  t.regex(json.msg, /Standard input is longer than 16777216 bytes/);
});
