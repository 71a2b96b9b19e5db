import test from 'ava';
import { ownProgram, TestNode } from '#test/node.ts';
import {
  cnitool,
  CONTAINER,
  inMounts,
  letFail,
  POD,
  recordedCalls,
  recordingNode,
  writeNetwork,
} from './tool.ts';

const refuses = test.macro({
  async exec(t, keys: object, args: string[], message: RegExp) {
    await using node = await recordingNode(keys);
    const { exitCode, stdout, stderr } = await cnitool(node, args);
    t.is(exitCode, 1);
    t.is(stdout, '');
    t.regex(stderr, message);
    t.deepEqual(recordedCalls(node), []);
  },
  title: (_, keys, args: string[] = []) =>
    `cnitool runs nothing for ${args.join(' ')} with ${JSON.stringify(keys)}`,
});

test(refuses, {}, [], /^cnitool: a command is missing\n\n[^]*cnitool add/);
test(refuses, {}, ['add', 'blue'], /^cnitool: "add" needs [^]*cnitool add/);
test(
  refuses,
  {},
  ['add', 'red', '/n'],
  /^cnitool: no net configuration with name "red" in .*; "cnitool list"/,
);
test(
  refuses,
  { cniVersion: '9.9.9' },
  ['add', ...POD],
  /^cnitool: incompatible CNI versions; .*"9\.9\.9"/,
);
test(
  refuses,
  { name: 'a/b' },
  ['add', 'a/b', '/n'],
  /^cnitool: invalid characters found in network name; "a\/b" in /,
);
test(
  refuses,
  {},
  ['add', ...POD, '-i', 'far-too-long-name'],
  /^cnitool: interface name is too long; /,
);
test(
  refuses,
  { plugins: [{ type: 'nowhere' }] },
  ['add', ...POD],
  /^cnitool: plugin type="nowhere" failed \(add\): failed to find plugin "nowhere" in path \[.*\(code 999\)$/,
);

test('help and version go to standard output', async (t) => {
  await using node = await TestNode.create();
  t.regex((await cnitool(node, ['help'])).stdout, /cnitool add/);
  t.regex(
    (await cnitool(node, ['version'])).stdout,
    /^cnitool \d+\.\d+\.\d+\nCNI 0\.1\.0, .*1\.1\.0$/,
  );
});

test('list shows networks, attachments and broken files', async (t) => {
  await using node = await recordingNode();
  writeNetwork(node, '20-bad.conflist', '{');
  await cnitool(node, ['add', ...POD]);
  const { exitCode, stdout } = await cnitool(node, ['list']);
  t.is(exitCode, 0);
  t.regex(stdout, /^blue +1\.1\.0 +first,second +\S+\/10-blue\.conflist$/m);
  t.regex(stdout, new RegExp(`^blue +${CONTAINER} +eth0 +/run/netns/pod +10\\.1\\.0\\.3/24$`, 'm'));
  t.regex(stdout, /20-bad\.conflist cannot be used: error parsing configuration list: /);
});

test('a terminal is told of each run, and how long it took', async (t) => {
  await using node = await recordingNode();
  letFail(node, 'second', 'ADD', { code: 5, msg: 'stuck' });
  const command = [...ownProgram('cnitool'), 'add', ...POD].map((word) => `'${word}'`).join(' ');
  const { stdout } = await inMounts(node, ['script', '-qec', command, '/dev/null']);
  t.regex(stdout, /^cnitool: ADD first: done in \d+ ms\r?$/m);
  t.regex(stdout, /^cnitool: ADD second: failed after \d+ ms\r?$/m);
});
