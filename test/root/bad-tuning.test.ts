/** Bad input of tuning: one JSON error with the right code, nothing changed; and a DEL that it does not hold up. */
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { type BadCall, config as changed, refuses } from './refuses.ts';

const keys = (more: Record<string, unknown>) =>
  changed((node) => chainedConfig('tuning', { dataDir: node.path('tuning'), ...more }));

const sysctls = (values: Record<string, unknown>) => keys({ sysctl: values });

/** The JSON of a configuration with a text in place of the value of `sysctl`. */
const raw = (text: string) => ({
  config: JSON.stringify(chainedConfig('tuning', { sysctl: 'HERE' })).replace('"HERE"', text),
});

const CASES: Readonly<Record<string, BadCall>> = {
  'not chained': {
    code: 7,
    message: /^Required prevResult missing \| the configuration has no prevResult/,
    call: keys({ mtu: 1400, prevResult: undefined }),
  },
  'CHECK that is not chained': {
    code: 7,
    command: 'CHECK',
    message: /^Required prevResult missing/,
    call: keys({ mtu: 1400, prevResult: undefined }),
  },
  'a sysctl that is not below net': {
    code: 7,
    message: /^invalid net sysctl key: "kernel\.hostname"/,
    call: sysctls({ 'net.core.somaxconn': '77', 'kernel.hostname': 'x' }),
  },
  'a sysctl that climbs': {
    code: 7,
    message: /^invalid net sysctl key: "net\/\.\.\/kernel\/hostname"/,
    call: sysctls({ 'net/../kernel/hostname': 'x' }),
  },
  'a sysctl that there is not': {
    code: 5,
    message:
      /^Cannot set sysctl "net\.ipv4\.nope" to "1": open \/proc\/sys\/net\/ipv4\/nope: no such file or directory/,
    call: sysctls({ 'net.ipv4.nope': '1' }),
  },
  'a sysctl that is a folder': {
    code: 5,
    message: /^Cannot set sysctl "net\.ipv4" to "1": .*is a directory/,
    call: sysctls({ 'net.ipv4': '1' }),
  },
  'a value that the kernel refuses': {
    code: 5,
    message: /^Cannot set sysctl "net\.core\.somaxconn" to "many": .*invalid argument/,
    call: sysctls({ 'net.core.somaxconn': 'many' }),
  },
  'a value that is no text': {
    code: 7,
    message: /"sysctl\.net\.core\.somaxconn" must be a string, not 77/,
    call: sysctls({ 'net.core.somaxconn': 77 }),
  },
  'sysctls that are a list': {
    code: 7,
    message: /"sysctl" must be a record, not \["net\.core\.somaxconn"\]/,
    call: keys({ sysctl: ['net.core.somaxconn'] }),
  },
  'a key twice': {
    code: 7,
    message: /^duplicated sysctl keys are not allowed \| "net\.core\.somaxconn" comes twice/,
    call: raw('{"net.core.somaxconn": "77", "net.core.somaxconn": "78"}'),
  },
  'a key twice, in args.cni': {
    code: 7,
    message: /^duplicated sysctl keys are not allowed/,
    call: {
      config: JSON.stringify(
        chainedConfig('tuning', { ARGS: { cni: { Sysctl: 'HERE' } } }),
      ).replace('"HERE"', '{"net.core.somaxconn": "77", "net.core.somaxconn": "77"}'),
    },
  },
  'two keys for one sysctl': {
    code: 7,
    message:
      /^duplicated sysctl keys are not allowed \| "net\.ipv4\.conf\.IFNAME\.rp_filter" and "net\/ipv4\/conf\/eth0\/rp_filter" are the same/,
    call: sysctls({ 'net.ipv4.conf.IFNAME.rp_filter': '1', 'net/ipv4/conf/eth0/rp_filter': '0' }),
  },
  'an interface name with a slash': {
    code: 4,
    message: /interface name contains \/ or : or whitespace characters/,
    call: { ifName: '../x' },
  },
  'a container ID with a slash': {
    code: 4,
    message: /invalid characters in containerID/,
    call: { containerID: '../../etc/x' },
  },
  'an interface that there is not': {
    code: 999,
    message: /^Container interface "eth0" not found in "/,
    call: keys({ mtu: 1400, sysctl: { 'net.core.somaxconn': '77' } }),
  },
  'a hardware address that is none': {
    code: 7,
    message: /"mac" "zz" is not a MAC address/,
    call: keys({ mac: 'zz' }),
  },
  'the same from the runtime': {
    code: 7,
    message: /"runtimeConfig\.mac" "zz" is not a MAC address/,
    call: keys({ runtimeConfig: { mac: 'zz' } }),
  },
  'the same in args.cni': {
    code: 7,
    message: /"args\.cni\.mac" "zz" is not a MAC address/,
    call: keys({ args: { cni: { mac: 'zz' } } }),
  },
  'the same in CNI_ARGS': {
    code: 4,
    message: /^ARGS: MAC="zz" is not a MAC address/,
    call: { args: 'MAC=zz' },
  },
  'an argument that it does not know': {
    code: 4,
    message: /ARGS: unknown args \["MTU"\]/,
    call: { args: 'MTU=1400' },
  },
  'an MTU below 0': {
    code: 7,
    message: /"mtu" must be at least 0, not -1/,
    call: keys({ mtu: -1 }),
  },
  'an MTU that is text': { code: 7, message: /"mtu" must be/, call: keys({ mtu: '1400' }) },
  'a queue length below 0': {
    code: 7,
    message: /"txQLen" must be at least 0, not -1/,
    call: keys({ txQLen: -1 }),
  },
  'promiscuous by a word': {
    code: 7,
    message: /"promisc" must be a boolean, not "yes"/,
    call: keys({ promisc: 'yes' }),
  },
  'a namespace that there is not': {
    code: 8,
    message: /failed to open netns "\/run\/netns\/none": no such file or directory/,
    call: { netns: '/run/netns/none' },
  },
};

for (const [what, bad] of Object.entries(CASES)) test(`tuning: ${what}`, refuses, 'tuning', bad);

test('tuning: a data folder that cannot be made leaves everything as it was', async (t) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const dataDir = node.writeFile('file', '');
  const config = chainedConfig('tuning', {
    dataDir,
    sysctl: { 'net.core.somaxconn': '77' },
    allmulti: true,
  });
  const answer = await node.call('ADD', { plugin: 'tuning', config, netns, ifName: 'lo' });
  t.is(answer.json?.code, 5, answer.stdout);
  t.regex(answer.json.msg, /not a directory/);
  t.not(await node.run('cat', ['/proc/sys/net/core/somaxconn'], netns), '77');
  t.false((await node.ip('link show lo', netns))[0].flags.includes('ALLMULTI'));
});

test('tuning: faulty values do not hold up DEL and GC, nor does a name that no file has', async (t) => {
  await using node = await TestNode.create();
  const faulty = { dataDir: node.path('tuning'), sysctl: 7, mac: 'zz', mtu: 'x', args: 7 };
  const config = chainedConfig('tuning', { ...faulty, cniVersion: '1.1.0', prevResult: 7 });
  for (const command of ['DEL', 'GC']) {
    await node.succeed(t, command, { plugin: 'tuning', config, args: 'MAC=zz' });
  }
  await node.succeed(t, 'DEL', { plugin: 'tuning', config, containerID: 'a'.repeat(300) });
});
