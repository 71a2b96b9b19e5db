/** Delegates that are other programs, good and bad. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { bridgeConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

/** Puts an IPAM plugin called `fake` into the node's CNI_PATH; it notes its commands. @returns a call of bridge with it */
async function withIpam(node: TestNode, script: string) {
  node.writeProgram(
    'empty/fake',
    `cat > ${node.path('input')}\necho $CNI_COMMAND >> ${node.path('commands')}\n${script}`,
  );
  const config = bridgeConfig(node, { ipam: { type: 'fake', any: 'key' } });
  const call = {
    plugin: 'bridge',
    config,
    netns: await node.addPod('a'),
    path: node.path('empty'),
  };
  const commands = () => readFileSync(node.path('commands'), 'utf8').trim().split('\n');
  return { call, commands };
}

test('a delegate gets the configuration to the byte, and its result may lack a version', async (t) => {
  await using node = await TestNode.create();
  const { call, commands } = await withIpam(
    node,
    `[ $CNI_COMMAND = ADD ] && echo '{"ips": [{"address": "10.1.0.7/24"}]}'; exit 0`,
  );
  const text = `${JSON.stringify(call.config, null, 7)}\n\n`;
  const { json } = await node.succeed(t, 'ADD', { ...call, config: text });
  t.is(json.ips[0].address, '10.1.0.7/24');
  t.is(json.ips[0].gateway, '10.1.0.1');
  t.is(readFileSync(node.path('input'), 'utf8'), text);
  await node.succeed(t, 'DEL', call);
  t.deepEqual(commands(), ['ADD', 'DEL']);
});

interface Bad {
  readonly script: string;
  readonly code: number;
  readonly message: RegExp;
}

const reports = test.macro(async (t, { script, code, message }: Bad) => {
  await using node = await TestNode.create();
  const { call, commands } = await withIpam(node, script);
  const { json, exitCode } = await node.call('ADD', call);
  t.is(exitCode, 1);
  t.is(json.code, code);
  t.regex(`${json.msg} | ${json.details ?? ''}`, message);
  t.deepEqual(await node.links(), []);
  t.deepEqual(commands(), ['ADD', 'DEL'], 'the specification wants a DEL after the failed ADD');
});

test('its error keeps code, message and details', reports, {
  script: `echo '{"cniVersion": "1.0.0", "code": 105, "msg": "no luck", "details": "the moon"}'; exit 1`,
  code: 105,
  message: /^no luck \| the moon$/,
});
test('its words on standard error are reported if it printed nothing', reports, {
  script: 'echo "no route to host" >&2; exit 3',
  code: 999,
  message: /^netplugin failed: "no route to host": exit status 3 \| plugin .*\/empty\/fake$/,
});
test('a silent failure is reported as such', reports, {
  script: 'exit 1',
  code: 999,
  message: /^netplugin failed: with no error message: exit status 1/,
});
test('garbage is quoted', reports, {
  script: 'echo "panic: oops"; exit 2',
  code: 999,
  message: /netplugin failed but error parsing its diagnostic message "panic: oops"/,
});
test('a signal is named', reports, {
  script: 'kill -SEGV $$',
  code: 999,
  message: /netplugin failed: with no error message: signal: SIGSEGV/,
});
test('a result that is no JSON', reports, {
  script: 'echo hello',
  code: 6,
  message: /Cannot read the result of plugin "fake": not a JSON object/,
});
test('a result without addresses', reports, {
  script: 'echo "{}"',
  code: 999,
  message: /IPAM plugin returned missing IP config/,
});
test('null is a result without addresses', reports, {
  script: 'echo null',
  code: 999,
  message: /IPAM plugin returned missing IP config/,
});
test('a result of an older version is understood', async (t) => {
  await using node = await TestNode.create();
  const { call } = await withIpam(
    node,
    `echo '{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.7/24"}}'`,
  );
  const { json } = await node.succeed(t, 'ADD', call);
  t.is(json.ips[0].address, '10.1.0.7/24');
});
test('an address that is none', reports, {
  script: `echo '{"ips": [{"address": "10.1.0.7"}]}'`,
  code: 7,
  message:
    /Invalid result of plugin "fake": "ips\[0\]\.address" "10\.1\.0\.7" is not a CIDR prefix/,
});

test('a DEL that a delegate refuses fails, after everything else was removed', async (t) => {
  await using node = await TestNode.create();
  const { call } = await withIpam(
    node,
    `[ $CNI_COMMAND = DEL ] && echo '{"code": 11, "msg": "later"}' && exit 1; echo '{"ips": [{"address": "10.1.0.7/24"}]}'`,
  );
  await node.succeed(t, 'ADD', call);
  const { json, exitCode } = await node.call('DEL', call);
  t.is(exitCode, 1);
  t.like(json, { code: 11, msg: 'later' });
  t.deepEqual(await node.links(), ['br0']);
});

test('a folder and a dangling link of the name are passed over in CNI_PATH', async (t) => {
  await using node = await TestNode.create();
  const { call } = await withIpam(node, `echo '{"ips": [{"address": "10.1.0.7/24"}]}'`);
  await node.run('mkdir', ['-p', node.path('one/fake'), node.path('two')]);
  await node.run('ln', ['-s', '/nowhere', node.path('two/fake')]);
  const path = [node.path('one'), '', node.path('two'), node.path('none'), node.path('empty')].join(
    ':',
  );
  await node.succeed(t, 'ADD', { ...call, path });
});

for (const [what, content, fault] of [
  ['an empty file', '', 'the file is empty'],
  ['a file that is no program', 'hello', 'it is neither an executable nor a script'],
  [
    'a program for another processor',
    `\x7fELF${'\0'.repeat(14)}\x7f\x7f`,
    'it is for another processor',
  ],
] as const) {
  test(`${what} in the place of a plugin is an error, not a success`, async (t) => {
    await using node = await TestNode.create();
    const { call } = await withIpam(node, 'exit 0');
    node.writeFile('empty/fake', content);
    const { json, exitCode } = await node.call('ADD', call);
    t.is(exitCode, 1);
    t.true(json.msg.endsWith(`/empty/fake": exec format error: ${fault}`), json.msg);
    t.deepEqual(await node.links(), []);
  });
}

test('an ADD that printed nothing is an error', async (t) => {
  await using node = await TestNode.create();
  const { call } = await withIpam(node, 'exit 0');
  const { json } = await node.call('ADD', call);
  t.regex(json.msg, /Cannot read the result of plugin "fake"/);
});
