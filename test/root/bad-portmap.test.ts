/** Bad input of portmap: one JSON error with the right code, nothing changed; and a DEL that it does not hold up. */
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { type BadCall, chainedWith, refuses } from './refuses.ts';

const TCP = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };

const mappings = (...portMappings: unknown[]) =>
  chainedWith('portmap', { runtimeConfig: { portMappings } });

const keys = (more: Record<string, unknown>) =>
  chainedWith('portmap', { runtimeConfig: { portMappings: [TCP] }, ...more });

const CASES: Readonly<Record<string, BadCall>> = {
  'not chained': {
    code: 7,
    message: /must be called as chained plugin \| the configuration has no prevResult/,
    call: keys({ prevResult: undefined }),
  },
  'host port 0': {
    code: 7,
    message: /"runtimeConfig\.portMappings\[0\]\.hostPort" Invalid host port number: 0/,
    call: mappings({ ...TCP, hostPort: 0 }),
  },
  'host port 65536': {
    code: 7,
    message: /Invalid host port number: 65536/,
    call: mappings({ ...TCP, hostPort: 65_536 }),
  },
  'container port -1': {
    code: 7,
    message: /Invalid container port number: -1/,
    call: mappings(TCP, { ...TCP, hostPort: 1, containerPort: -1 }),
  },
  'a port by name': {
    code: 7,
    message:
      /"runtimeConfig\.portMappings\[0\]\.hostPort" must be an int, not "http"|must be a number, not "http"/,
    call: mappings({ ...TCP, hostPort: 'http' }),
  },
  'a port that is missing': {
    code: 7,
    message: /"runtimeConfig\.portMappings\[0\]\.containerPort" is missing/,
    call: mappings({ hostPort: 8080 }),
  },
  'an unknown protocol': {
    code: 7,
    message: /"runtimeConfig\.portMappings\[0\]\.protocol" must be tcp, udp, sctp, not "icmp"/,
    call: mappings({ ...TCP, protocol: 'icmp' }),
  },
  'a host address that is none': {
    code: 7,
    message: /"runtimeConfig\.portMappings\[0\]\.hostIP" "localhost" is not an IP address/,
    call: mappings({ ...TCP, hostIP: 'localhost' }),
  },
  'the same port twice': {
    code: 7,
    message: /Host port 8080\/tcp is mapped twice \| to container ports 80 and 81/,
    call: mappings(TCP, { ...TCP, containerPort: 81 }),
  },
  'no list': {
    code: 7,
    message: /"runtimeConfig\.portMappings" must be an array/,
    call: chainedWith('portmap', { runtimeConfig: { portMappings: 8080 } }),
  },
  'an unknown backend': {
    code: 7,
    message: /unrecognized backend "ebtables": must be "nftables" or "iptables"/,
    call: keys({ backend: 'ebtables' }),
  },
  'conditions of iptables for nftables': {
    code: 7,
    message:
      /nftables backend was requested but configuration contains iptables-specific options \[conditionsV4\]/,
    call: keys({ backend: 'nftables', conditionsV4: ['-s', '10.0.0.0/8'] }),
  },
  'conditions of nftables for iptables': {
    code: 7,
    message:
      /iptables backend was requested but configuration contains nftables-specific options \[conditionsV6\]/,
    call: keys({ backend: 'iptables', conditionsV6: ['ip6', 'saddr', 'fd00::/8'] }),
  },
  'conditions of both': {
    code: 7,
    message: /iptables backend was requested but configuration contains nftables-specific/,
    call: keys({ conditionsV4: ['!', '-s', '10.0.0.0/8'], conditionsV6: ['ip6', 'saddr', '::1'] }),
  },
  'conditions with a line end': {
    code: 7,
    message: /conditions must not hold line ends/,
    call: keys({ conditionsV4: ['accept\nadd table ip evil'] }),
  },
  'a mark bit that no mark has': {
    code: 7,
    message: /"markMasqBit" must be at most 31, not 32/,
    call: keys({ markMasqBit: 32 }),
  },
  'a mark bit and a chain that marks': {
    code: 7,
    message: /Cannot specify externalSetMarkChain and markMasqBit/,
    call: keys({ markMasqBit: 3, externalSetMarkChain: 'KUBE-MARK-MASQ' }),
  },
  'a chain that marks, which there is not': {
    code: 11,
    message:
      /Chain "KUBE-MARK-MASQ" of "externalSetMarkChain" is not in table nat of IPv4 .*kube-proxy/,
    call: keys({ externalSetMarkChain: 'KUBE-MARK-MASQ' }),
  },
};

for (const [what, bad] of Object.entries(CASES)) test(`portmap: ${what}`, refuses, 'portmap', bad);

test('portmap: faulty keys do not hold up DEL', async (t) => {
  await using node = await TestNode.create();
  const runtimeConfig = { portMappings: [{ hostPort: 0, containerPort: 'x' }] };
  const faulty = [{ runtimeConfig }, { backend: 'x' }, { markMasqBit: 99 }, { conditionsV4: 7 }];
  for (const more of faulty) {
    const config = chainedConfig('portmap', more);
    await node.succeed(t, 'DEL', { plugin: 'portmap', config });
  }
});
