/** firewall beside Debian's firewalld: pods become sources of a zone. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { TestBus } from '#test/firewalld.ts';
import { TestNode } from '#test/node.ts';
import { addOutside } from '#test/outside.ts';
import { sourceSeen } from '#test/traffic.ts';
import { addFirewallPod, filterRules } from './firewall-pods.ts';
import { bareConfig, type Pod } from './pods.ts';

const REFUSED = /timeout|EHOSTUNREACH|ECONNREFUSED|EACCES|EPERM/;

const late = (pod: Pod) => ({ ...pod.call, config: bareConfig(pod), netns: '' });

test('where firewalld runs, the pod reaches outside as a source of the zone, and is none after DEL', async (t) => {
  await using node = await TestNode.create();
  await using bus = await TestBus.start(node);
  await bus.startFirewalld();
  const { env } = bus;
  const outside = await addOutside(node, ['192.0.2.1/24', '192.0.2.254/24']);
  const a = await addFirewallPod(t, node, 'a', { cniVersion: '1.1.0' });
  const route = { from: a.netns, to: outside, address: '192.0.2.1' };
  t.regex(await sourceSeen(route), REFUSED);
  await node.succeed(t, 'STATUS', { plugin: 'firewall', config: bareConfig(a), env });
  await node.succeed(t, 'ADD', { ...a.call, env });
  // What is there already is accepted.
  await node.succeed(t, 'ADD', { ...a.call, env });
  t.is(await sourceSeen(route), '10.1.0.2');
  const sources = await bus.zone('getSources', 'trusted');
  t.deepEqual(JSON.parse(sources).data[0].toSorted(), ['10.1.0.2/32', 'fd00:1::2/128']);
  t.notRegex((await filterRules(node)).join('\n'), /CNI-/);
  await node.succeed(t, 'CHECK', { ...a.call, env });

  await bus.zone('removeSource', 'trusted', '10.1.0.2/32');
  const missing = await node.call('CHECK', { ...a.call, env });
  t.is(missing.json.msg, '10.1.0.2/32 is no source of firewalld\'s zone "trusted"');

  await node.succeed(t, 'DEL', { ...late(a), env });
  t.deepEqual(JSON.parse(await bus.zone('getSources', 'trusted')).data, [[]]);
  await node.succeed(t, 'DEL', { ...late(a), env });
  t.deepEqual(node.files('firewall'), []);
  t.regex(await sourceSeen(route), REFUSED);
});

test('a zone of its own, isolation by iptables beside it, and what the reference plugin would have made', async (t) => {
  await using node = await TestNode.create();
  await using bus = await TestBus.start(node);
  await bus.startFirewalld();
  const { env } = bus;
  const keys = { backend: 'firewalld', firewalldZone: 'internal', ingressPolicy: 'same-bridge' };
  const a = await addFirewallPod(t, node, 'a', keys);
  await node.succeed(t, 'ADD', { ...a.call, env });
  t.regex(await bus.zone('getSources', 'internal'), /10\.1\.0\.2\/32/);
  const rules = (await filterRules(node)).join('\n');
  t.regex(rules, /-i br0 ! -o br0/);
  t.notRegex(rules, /CNI-FORWARD/);
  await node.succeed(t, 'CHECK', { ...a.call, env });
  await node.succeed(t, 'DEL', { ...late(a), env });
  t.notRegex((await filterRules(node)).join('\n'), /CNI-/);

  await bus.zone('addSource', 'internal', '10.1.0.2/32');
  await node.succeed(t, 'DEL', { ...a.call, env });
  t.notRegex(await bus.zone('getSources', 'internal'), /10\.1\.0\.2/);
});

test('a zone that there is not refuses the ADD, and nothing is left; so does a source of another zone', async (t) => {
  await using node = await TestNode.create();
  await using bus = await TestBus.start(node);
  await bus.startFirewalld();
  const { env } = bus;
  const a = await addFirewallPod(t, node, 'a', { firewalldZone: 'nowhere' });
  const unknown = await node.call('ADD', { ...a.call, env });
  t.is(unknown.json.code, 5);
  t.regex(
    unknown.json.msg,
    /Cannot add source "10\.1\.0\.2\/32" to zone "nowhere": .*INVALID_ZONE/,
  );
  t.deepEqual(node.files('firewall'), []);

  await bus.zone('addSource', 'public', 'fd00:1::2/128');
  const config = { ...a.config, firewalldZone: 'trusted' };
  const elsewhere = await node.call('ADD', { ...a.call, config, env });
  t.regex(elsewhere.json.msg, /ZONE_CONFLICT/);
  t.deepEqual(JSON.parse(await bus.zone('getSources', 'trusted')).data, [[]], 'IPv4 is undone');
  t.regex(await bus.zone('getSources', 'public'), /fd00:1::2/);
});

test('a bus without firewalld: iptables does the work, unless firewalld is asked for', async (t) => {
  await using node = await TestNode.create();
  await using bus = await TestBus.start(node);
  const { env } = bus;
  const a = await addFirewallPod(t, node, 'a', { cniVersion: '1.1.0' });
  await node.succeed(t, 'ADD', { ...a.call, env });
  t.regex((await filterRules(node)).join('\n'), /-A CNI-FORWARD -s 10\.1\.0\.2\/32 -j ACCEPT/);
  await node.succeed(t, 'DEL', { ...late(a), env });

  const config = { ...a.config, backend: 'firewalld' };
  const { json } = await node.call('ADD', { ...a.call, config, env });
  t.is(json.msg, 'firewalld does not run');
  const status = await node.call('STATUS', { plugin: 'firewall', config, env });
  t.is(status.json.code, 50);
  t.regex(status.json.msg, /firewalld does not run/);
});

test('DEL succeeds when firewalld has ended in between', async (t) => {
  await using node = await TestNode.create();
  await using bus = await TestBus.start(node);
  await bus.startFirewalld();
  const a = await addFirewallPod(t, node, 'a');
  await node.succeed(t, 'ADD', { ...a.call, env: bus.env });
  await bus.stopFirewalld();
  await node.succeed(t, 'DEL', { ...late(a), env: bus.env });
  t.deepEqual(node.files('firewall'), []);
});

test('a socket that a bus left behind is no bus', async (t) => {
  await using node = await TestNode.create();
  const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${node.writeFile('bus', '')}` };
  const a = await addFirewallPod(t, node, 'a');
  await node.succeed(t, 'ADD', { ...a.call, env });
  t.regex((await filterRules(node)).join('\n'), /-A CNI-FORWARD -s 10\.1\.0\.2\/32 -j ACCEPT/);
  const [name = ''] = node.files('firewall');
  const file = node.path('firewall', name);
  const text = readFileSync(file, 'utf8');
  node.writeFile(`firewall/${name}`, text.replace('"iptables"', '"firewalld"'));
  await node.succeed(t, 'DEL', { ...late(a), env });
  t.deepEqual(node.files('firewall'), []);
});
