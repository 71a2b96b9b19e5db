/** Bad input of firewall: one JSON error with the right code, nothing changed. */
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { type BadCall, chainedWith, refuses } from './refuses.ts';

const keys = (more: Record<string, unknown>) => chainedWith('firewall', more);

const prevResult = (interfaces: readonly object[]) => ({
  cniVersion: '1.0.0',
  interfaces,
  ips: [{ address: '10.1.0.2/24' }],
});

const bridged = (name: string) =>
  keys({ ingressPolicy: 'isolated', prevResult: prevResult([{ name }]) });

const CASES: Readonly<Record<string, BadCall>> = {
  'not chained': {
    code: 7,
    message: /missing prevResult from earlier plugin/,
    call: keys({ prevResult: undefined }),
  },
  'CHECK without prevResult': {
    code: 7,
    command: 'CHECK',
    message: /missing prevResult from earlier plugin/,
    call: keys({ prevResult: undefined }),
  },
  'a version before there was CHECK': {
    code: 1,
    message: /incompatible CNI versions/,
    call: keys({ cniVersion: '0.3.1', prevResult: undefined }),
  },
  'an unknown backend': {
    code: 7,
    message: /unrecognized backend "nftables": must be "iptables" or "firewalld"/,
    call: keys({ backend: 'nftables' }),
  },
  'an unknown policy': {
    code: 7,
    message: /unknown ingress policy: "closed"/,
    call: keys({ ingressPolicy: 'closed' }),
  },
  'a policy without a bridge': {
    code: 7,
    message:
      /interface needs to be set for ingress policy "same-bridge", make sure to chain "firewall" plugin with "bridge"/,
    call: keys({ ingressPolicy: 'same-bridge', prevResult: prevResult([]) }),
  },
  'a bridge whose name would end the rule': {
    code: 7,
    message: /can't be the bridge of ingress policy "isolated"/,
    call: bridged('br0\n-F'),
  },
  'a bridge whose name would mean many': {
    code: 7,
    message: /"br\+", can't be the bridge/,
    call: bridged('br+'),
  },
  'a chain name of 29 characters': {
    code: 7,
    message: /"iptablesAdminChainName" "A{29}" is no chain name/,
    call: keys({ iptablesAdminChainName: 'A'.repeat(29) }),
  },
  'a chain name with a line end': {
    code: 7,
    message: /is no chain name/,
    call: keys({ iptablesAdminChainName: 'A\n-F' }),
  },
  'a zone that looks like an option': {
    code: 7,
    message: /"firewalldZone" "--help" is no zone's name/,
    call: keys({ firewalldZone: '--help' }),
  },
  'a folder that is none': {
    code: 7,
    message: /"dataDir" must be an absolute path, not "firewall"/,
    call: keys({ dataDir: 'firewall' }),
  },
  'firewalld without a bus': {
    code: 5,
    message: /firewalld does not run/,
    call: (node) => ({
      ...keys({ backend: 'firewalld' })(node),
      env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nowhere' },
    }),
  },
};

for (const [what, bad] of Object.entries(CASES))
  test(`firewall: ${what}`, refuses, 'firewall', bad);

test('firewall: faulty keys do not hold up DEL, nor does a container ID longer than a file name', async (t) => {
  await using node = await TestNode.create();
  const dataDir = node.path('firewall');
  for (const more of [{ backend: 'x' }, { ingressPolicy: 'x' }, { firewalldZone: '--help' }]) {
    const config = chainedConfig('firewall', { dataDir, ...more });
    await node.succeed(t, 'DEL', { plugin: 'firewall', config });
  }
  const config = chainedConfig('firewall', { dataDir, backend: 'iptables' });
  const call = { plugin: 'firewall', config, containerID: 'x'.repeat(230) };
  const netns = await node.addPod('a');
  await node.succeed(t, 'ADD', { ...call, netns });
  await node.succeed(t, 'DEL', call);
  t.notRegex(await node.run('iptables-save', []), /10\.1\.0\.2/);
});
