import test, { type ExecutionContext } from 'ava';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { REFERENCE_BIN, TestNode } from '#test/node.ts';
import { refuses } from './refuses.ts';

const THEIRS = `${REFERENCE_BIN}/loopback`;

const loopbackConfig = (cniVersion = '1.0.0', more: object = {}) => ({
  cniVersion,
  name: 'lo',
  type: 'loopback',
  ...more,
});

/** A pod as a runtime makes it: its `lo` is down. */
async function freshPod(node: TestNode): Promise<string> {
  const netns = await node.addPod('a');
  await node.run('ip', ['link', 'set', 'lo', 'down'], netns);
  return netns;
}

async function isUp(node: TestNode, netns: string): Promise<boolean> {
  const [{ flags }] = await node.ip('link show lo', netns);
  return flags.includes('UP');
}

/** The result that a version has a shape for. */
function expected(version: string, sandbox: string): object {
  if (version < '0.3.0') {
    return { cniVersion: version, ip4: { ip: '127.0.0.1/8' }, ip6: { ip: '::1/128' }, dns: {} };
  }
  const isOld = version < '1.0.0';
  const family = (name: string) => (isOld ? { version: name } : {});
  return {
    cniVersion: version,
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox }],
    ips: [
      { ...family('4'), address: '127.0.0.1/8', interface: 0 },
      { ...family('6'), address: '::1/128', interface: 0 },
    ],
    ...(isOld ? { dns: {} } : {}),
  };
}

for (const version of SPEC_VERSIONS) {
  test(`${version}: ADD sets lo up and answers in this version's shape, DEL sets it down, twice`, async (t) => {
    await using node = await TestNode.create();
    const netns = await freshPod(node);
    const call = { plugin: 'loopback', config: loopbackConfig(version), netns, ifName: 'eth7' };
    const { json } = await node.succeed(t, 'ADD', call);
    t.deepEqual(json, expected(version, netns));
    t.true(await isUp(node, netns));
    await node.succeed(t, 'DEL', call);
    t.false(await isUp(node, netns));
    await node.succeed(t, 'DEL', call);
  });
}

test('a given prevResult is printed on, and lo is up', async (t) => {
  await using node = await TestNode.create();
  const netns = await freshPod(node);
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: netns }],
    ips: [{ address: '10.1.0.2/24', interface: 0 }],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const config = loopbackConfig('1.0.0', { prevResult });
  const { json } = await node.succeed(t, 'ADD', { plugin: 'loopback', config, netns });
  t.deepEqual(json, prevResult);
  t.true(await isUp(node, netns));
  await node.succeed(t, 'CHECK', { plugin: 'loopback', config, netns });
});

test('DEL succeeds with an empty and with a missing namespace', async (t) => {
  await using node = await TestNode.create();
  for (const netns of ['', '/run/netns/none']) {
    await node.succeed(t, 'DEL', { plugin: 'loopback', config: loopbackConfig(), netns });
  }
});

test('CHECK names what is not as ADD left it: the interface down, an address gone', async (t) => {
  await using node = await TestNode.create();
  const netns = await freshPod(node);
  const { json } = await node.succeed(t, 'ADD', {
    plugin: 'loopback',
    config: loopbackConfig(),
    netns,
  });
  const config = loopbackConfig('1.0.0', { prevResult: json });
  const call = { plugin: 'loopback', config, netns };
  const words = async () => (await node.call('CHECK', call)).json?.msg;
  await node.succeed(t, 'CHECK', call);
  await node.run('ip', ['addr', 'del', '127.0.0.1/8', 'dev', 'lo'], netns);
  t.is(await words(), 'Failed to find "127.0.0.1/8" on interface "lo"');
  await node.run('ip', ['link', 'set', 'lo', 'down'], netns);
  t.is(await words(), 'loopback interface is down');
});

test('an address that is no loopback address is refused, and lo stays down', async (t) => {
  await using node = await TestNode.create();
  const netns = await freshPod(node);
  await node.run('ip', ['addr', 'add', '10.9.0.1/24', 'dev', 'lo'], netns);
  const answer = await node.call('ADD', { plugin: 'loopback', config: loopbackConfig(), netns });
  t.is(answer.exitCode, 1);
  t.is(answer.json.msg, 'loopback interface found with non-loopback address "10.9.0.1"');
  t.false(await isUp(node, netns));
});

test('GC and STATUS succeed: there is no state', async (t) => {
  await using node = await TestNode.create();
  const config = loopbackConfig('1.1.0', { 'cni.dev/valid-attachments': [] });
  for (const command of ['GC', 'STATUS']) {
    const { stdout } = await node.succeed(t, command, { plugin: 'loopback', config });
    t.is(stdout, '');
  }
});

async function adds(t: ExecutionContext, node: TestNode, plugin: string, netns: string) {
  const { json } = await node.succeed(t, 'ADD', { plugin, config: loopbackConfig(), netns });
  return json;
}

test("the reference's result is ours, and each undoes what the other did", async (t) => {
  await using node = await TestNode.create();
  const netns = await freshPod(node);
  const call = { config: loopbackConfig(), netns };
  const theirs = await adds(t, node, THEIRS, netns);
  await node.succeed(t, 'CHECK', {
    ...call,
    plugin: 'loopback',
    config: loopbackConfig('1.0.0', { prevResult: theirs }),
  });
  await node.succeed(t, 'DEL', { ...call, plugin: 'loopback' });
  t.false(await isUp(node, netns));
  const ours = await adds(t, node, 'loopback', netns);
  // Release 1.1.1 still prints dns when it is empty.
  t.deepEqual({ ...ours, dns: {} }, theirs);
  await node.succeed(t, 'DEL', { ...call, plugin: THEIRS });
  t.false(await isUp(node, netns));
});

test('loopback: a prevResult of another version', refuses, 'loopback', {
  code: 7,
  message: /Invalid prevResult: result type supports \[0\.3\.0 0\.3\.1 0\.4\.0\]/,
  call: {
    config: loopbackConfig('0.4.0', { prevResult: { cniVersion: '1.0.0', interfaces: [] } }),
  },
});
