import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import {
  addRecorder,
  cacheFiles,
  cachePath,
  cnitool,
  CONTAINER,
  ENTRY,
  FIRST,
  letFail,
  POD,
  recordedCalls,
  recordedInput,
  recordedVariables,
  recordingNode,
  SECOND,
} from './tool.ts';

test('add runs the plugins in order, each after the result of the one before, and keeps the last', async (t) => {
  await using node = await recordingNode();
  const env = { CNI_ARGS: 'A=1;B=2', CAP_ARGS: '{"mac":"m","ips":[]}' };
  const { exitCode, stdout, stderr } = await cnitool(node, ['add', ...POD, '-i', 'net1'], env);
  t.is(exitCode, 0, stderr);
  t.deepEqual(JSON.parse(stdout), SECOND);
  t.is(stderr, '');
  t.deepEqual(recordedCalls(node), ['ADD first', 'ADD second']);
  t.deepEqual(recordedInput(node, 'ADD', 'first'), {
    cniVersion: '1.1.0',
    name: 'blue',
    type: 'first',
  });
  t.deepEqual(recordedInput(node, 'ADD', 'second'), {
    cniVersion: '1.1.0',
    name: 'blue',
    type: 'second',
    capabilities: { mac: true },
    runtimeConfig: { mac: 'm' },
    prevResult: FIRST,
  });
  t.deepEqual(recordedVariables(node, 'ADD', 'first'), [
    'CNI_ARGS=A=1;B=2',
    'CNI_COMMAND=ADD',
    `CNI_CONTAINERID=${CONTAINER}`,
    'CNI_IFNAME=net1',
    'CNI_NETNS=/run/netns/pod',
    `CNI_PATH=${node.path('bin')}`,
    'CNI_SUITE_DEPTH=1',
  ]);
  t.deepEqual(cacheFiles(node), [`blue-${CONTAINER}-net1`]);
  const entry = readFileSync(cachePath(node, `blue-${CONTAINER}-net1`), 'utf8');
  t.like(JSON.parse(entry), {
    cniArgs: [
      ['A', '1'],
      ['B', '2'],
    ],
    capabilityArgs: { mac: 'm' },
    result: SECOND,
  });
});

test('check gives every plugin the cached result, del too, in reverse, and forgets it', async (t) => {
  await using node = await recordingNode();
  await cnitool(node, ['add', ...POD]);
  t.like(await cnitool(node, ['check', ...POD]), { exitCode: 0, stdout: '', stderr: '' });
  t.like(await cnitool(node, ['del', ...POD]), { exitCode: 0, stdout: '', stderr: '' });
  t.deepEqual(recordedCalls(node).slice(2), [
    'CHECK first',
    'CHECK second',
    'DEL second',
    'DEL first',
  ]);
  for (const command of ['CHECK', 'DEL']) {
    for (const plugin of ['first', 'second']) {
      t.deepEqual(recordedInput(node, command, plugin).prevResult, SECOND, `${command} ${plugin}`);
    }
  }
  t.deepEqual(cacheFiles(node), []);
  t.is((await cnitool(node, ['del', ...POD])).exitCode, 0);
  t.false('prevResult' in recordedInput(node, 'DEL', 'first'));
});

test('a failed add names plugin, code and details, says what removes the rest, and removes nothing itself', async (t) => {
  await using node = await recordingNode();
  letFail(node, 'second', 'ADD', { code: 105, msg: 'no luck', details: 'the moon' });
  const { exitCode, stdout, stderr } = await cnitool(node, ['add', ...POD, '-i', 'net1']);
  t.is(exitCode, 1);
  t.is(stdout, '');
  t.deepEqual(stderr.split('\n'), [
    'cnitool: plugin type="second" name="own" failed (add): no luck; the moon (code 105)',
    'cnitool: what was added before the failure is still there; to remove it: cnitool del -i net1 blue /run/netns/pod',
  ]);
  t.deepEqual(recordedCalls(node), ['ADD first', 'ADD second']);
  t.deepEqual(cacheFiles(node), []);
});

test('an add whose first plugin fails has nothing to remove', async (t) => {
  await using node = await recordingNode();
  letFail(node, 'first', 'ADD', { code: 11, msg: 'later' });
  const { exitCode, stderr } = await cnitool(node, ['add', ...POD]);
  t.is(exitCode, 1);
  t.is(stderr, 'cnitool: plugin type="first" failed (add): later (code 11)');
});

test('a result that cannot be kept fails the add', async (t) => {
  await using node = await recordingNode();
  mkdirSync(node.path('var-lib'));
  writeFileSync(node.path('var-lib', 'cni'), 'in the way');
  const { exitCode, stdout, stderr } = await cnitool(node, ['add', ...POD]);
  t.is(exitCode, 1);
  t.is(stdout, '');
  t.regex(stderr, /^cnitool: failed to set network "blue" cached result: .*\/var\/lib\/cni/);
  t.regex(stderr, /cnitool del blue \/run\/netns\/pod$/);
});

test('a failed del keeps the cached result for another try, a corrupt one goes', async (t) => {
  await using node = await recordingNode();
  await cnitool(node, ['add', ...POD]);
  letFail(node, 'first', 'DEL', { code: 11, msg: 'later' });
  const { exitCode, stderr } = await cnitool(node, ['del', ...POD]);
  t.is(exitCode, 1);
  t.is(stderr, 'cnitool: plugin type="first" failed (delete): later (code 11)');
  t.deepEqual(cacheFiles(node), [ENTRY]);
  writeFileSync(cachePath(node, ENTRY), '{"kind":');
  await cnitool(node, ['del', ...POD]);
  t.false('prevResult' in recordedInput(node, 'DEL', 'second'));
  t.deepEqual(cacheFiles(node), []);
});

test('check stops at the first objection, and refuses a corrupt cache entry', async (t) => {
  await using node = await recordingNode();
  await cnitool(node, ['add', ...POD]);
  letFail(node, 'first', 'CHECK', { code: 999, msg: 'not so' });
  const { exitCode, stderr } = await cnitool(node, ['check', ...POD]);
  t.is(exitCode, 1);
  t.is(stderr, 'cnitool: plugin type="first" failed (check): not so (code 999)');
  t.deepEqual(recordedCalls(node).slice(2), ['CHECK first']);
  writeFileSync(cachePath(node, ENTRY), '');
  const corrupt = await cnitool(node, ['check', ...POD]);
  t.is(corrupt.exitCode, 1);
  t.regex(
    corrupt.stderr,
    /^cnitool: failed to get network "blue" cached result: corrupt cache entry: /,
  );
  t.deepEqual(cacheFiles(node), [ENTRY]);
});

test('check respects disableCheck, and the version that has none', async (t) => {
  await using disabled = await recordingNode({ disableCheck: true });
  t.is((await cnitool(disabled, ['check', ...POD])).exitCode, 0);
  t.deepEqual(recordedCalls(disabled), []);
  await using old = await recordingNode({ cniVersion: '0.3.1' });
  const { exitCode, stderr } = await cnitool(old, ['check', ...POD]);
  t.is(exitCode, 1);
  t.regex(stderr, /^cnitool: configuration version "0\.3\.1" does not support the CHECK command; /);
});

test('del of a version before 0.4.0 passes no result, and forgets it all the same', async (t) => {
  await using node = await recordingNode({ cniVersion: '0.3.1' });
  addRecorder(node, 'first', {
    cniVersion: '0.3.1',
    ips: [{ version: '4', address: '10.1.0.2/24' }],
  });
  addRecorder(node, 'second', { cniVersion: '0.3.1', dns: {} });
  t.is((await cnitool(node, ['add', ...POD])).exitCode, 0);
  t.deepEqual(cacheFiles(node), [ENTRY]);
  t.is((await cnitool(node, ['del', ...POD])).exitCode, 0);
  t.false('prevResult' in recordedInput(node, 'DEL', 'first'));
  t.deepEqual(cacheFiles(node), []);
});

test('gc deletes every attachment of the network, then lets the plugins collect', async (t) => {
  await using node = await recordingNode();
  await cnitool(node, ['add', 'blue', '/run/netns/a'], { CNI_ARGS: 'A=1' });
  await cnitool(node, ['add', ...POD]);
  writeFileSync(cachePath(node, 'red-x-eth0'), 'of another network');
  const { exitCode, stdout, stderr } = await cnitool(node, ['gc', ...POD], { CNI_ARGS: 'B=2' });
  t.is(exitCode, 0, stderr);
  t.is(stdout, '');
  t.deepEqual(recordedCalls(node).slice(4), [
    'DEL second',
    'DEL first',
    'DEL second',
    'DEL first',
    'GC first',
    'GC second',
  ]);
  t.deepEqual(cacheFiles(node), ['red-x-eth0']);
  t.deepEqual(recordedInput(node, 'GC', 'second'), {
    cniVersion: '1.1.0',
    name: 'blue',
    type: 'second',
    capabilities: { mac: true },
  });
  t.deepEqual(recordedVariables(node, 'GC', 'first').slice(0, 5), [
    'CNI_ARGS=',
    'CNI_COMMAND=GC',
    'CNI_CONTAINERID=',
    'CNI_IFNAME=',
    'CNI_NETNS=',
  ]);
});

test('gc runs everything, whatever fails, and reports each failure', async (t) => {
  await using node = await recordingNode();
  await cnitool(node, ['add', ...POD]);
  letFail(node, 'second', 'DEL', { code: 5, msg: 'stuck' });
  letFail(node, 'first', 'GC', { code: 999, msg: 'broken' });
  const { exitCode, stderr } = await cnitool(node, ['gc', ...POD]);
  t.is(exitCode, 1);
  t.deepEqual(stderr.split('\n'), [
    `cnitool: failed to delete stale attachment ${CONTAINER} eth0: plugin type="second" name="own" failed (delete): stuck (code 5)`,
    'cnitool: plugin type="first" failed (gc): broken (code 999)',
  ]);
  t.deepEqual(recordedCalls(node).slice(2), ['DEL second', 'GC first', 'GC second']);
  t.deepEqual(cacheFiles(node), [ENTRY]);
});

test('gc respects disableGC, and asks no plugin before 1.1.0', async (t) => {
  await using disabled = await recordingNode({ disableGC: true });
  await cnitool(disabled, ['add', ...POD]);
  t.is((await cnitool(disabled, ['gc', ...POD])).exitCode, 0);
  t.deepEqual(cacheFiles(disabled), [ENTRY]);
  await using old = await recordingNode({ cniVersion: '1.0.0' });
  await cnitool(old, ['add', ...POD]);
  t.is((await cnitool(old, ['gc', ...POD])).exitCode, 0);
  t.deepEqual(recordedCalls(old).slice(2), ['DEL second', 'DEL first']);
});

test('status stops at the first plugin that is not ready, with its code', async (t) => {
  await using node = await recordingNode();
  letFail(node, 'first', 'STATUS', { code: 50, msg: 'not yet' });
  const { exitCode, stderr } = await cnitool(node, ['status', ...POD]);
  t.is(exitCode, 1);
  t.is(stderr, 'cnitool: plugin type="first" failed (status): not yet (code 50)');
  t.deepEqual(recordedCalls(node), ['STATUS first']);
  await using old = await recordingNode({ cniVersion: '1.0.0' });
  t.is((await cnitool(old, ['status', ...POD])).exitCode, 0);
  t.deepEqual(recordedCalls(old), []);
});
