import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { temporaryFolder } from '#test/folder.ts';
import { BIN, isSkippedFromSource, ownProgram, TestNode } from '#test/node.ts';
import { processesOf } from '#test/trace.ts';
import { scaled } from '#test/limits.ts';
import { flannelConfig, SUBNET_ENV } from '#test/configs.ts';

/** The plugins that there are: one of each folder. */
const PLUGINS = readdirSync('plugins').toSorted();

/** Runs cni-suite; from source the program is named by the first argument. */
function suite(...args: string[]) {
  const [file = '', ...rest] = ownProgram('cni-suite');
  const own = BIN ? rest : rest.slice(0, -1);
  return execa(file, [...own, ...args], { reject: false, env: { CNI_COMMAND: '' } });
}

test('list names the programs, version the versions', async (t) => {
  const names = (await suite('list')).stdout.split('\n');
  t.deepEqual(names.toSorted(), [...PLUGINS, 'cnitool'].toSorted());
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  t.is(
    (await suite('version')).stdout,
    `cni-suite ${manifest.version}\nCNI 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0`,
  );
});

test('what there is not is said with the usage, exit 2', async (t) => {
  const { exitCode, stderr } = await suite('frob');
  t.is(exitCode, 2);
  t.regex(stderr, /there is no program or command "frob"[^]*cni-suite install DIR/);
});

test('called by a runtime under a name that there is not, it answers as the specification says', async (t) => {
  const [file = '', ...args] = ownProgram('frob');
  const rest = BIN ? ['frob'] : args;
  const { stdout, exitCode } = await execa(BIN ? join(BIN, 'cni-suite') : file, rest, {
    reject: false,
    env: { CNI_COMMAND: 'ADD' },
  });
  t.is(exitCode, 1);
  t.regex((JSON.parse(stdout) as { msg: string }).msg, /There is no plugin/);
});

test('a plugin called without a command tells what it is, on standard error, exit 0', async (t) => {
  const { exitCode, stdout, stderr } = await suite('bridge');
  t.is(exitCode, 0);
  t.is(stdout, '');
  t.regex(
    stderr,
    /^CNI bridge plugin \d+\.\d+\.\d+\nCNI protocol versions supported: 0\.1\.0, .*1\.1\.0$/,
  );
});

test('VERSION is answered without reading standard input', async (t) => {
  const [file = '', ...args] = ownProgram('bridge');
  const env = {
    CNI_COMMAND: 'VERSION',
    CNI_NETNS: 'dummy',
    CNI_IFNAME: 'dummy',
    CNI_PATH: 'dummy',
  };
  // The pipe stays open: a plugin that read it would wait for ever.
  const { stdout } = await execa(file, args, { env, timeout: scaled(20_000), stdin: 'pipe' });
  t.is(
    stdout,
    '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}',
  );
});

test('NODE_OPTIONS have no say', async (t) => {
  if (isSkippedFromSource(t, 'Node takes NODE_OPTIONS')) return;
  const [bridge = ''] = ownProgram('bridge');
  const { exitCode } = await execa(bridge, {
    env: { NODE_OPTIONS: '--bogus' },
    reject: false,
  });
  t.is(exitCode, 0);
});

test('install puts one file under all names, again and again, and leaves nothing beside', async (t) => {
  const path = temporaryFolder(t);
  writeFileSync(join(path, 'bridge'), 'old');
  for (const _ of [1, 2]) {
    const { stdout, exitCode } = await suite('install', path);
    t.is(exitCode, 0);
    t.deepEqual(
      stdout.split('\n').toSorted(),
      PLUGINS.map((name) => join(path, name)),
    );
    t.deepEqual(readdirSync(path).toSorted(), PLUGINS);
    t.is(new Set(PLUGINS.map((name) => statSync(join(path, name)).ino)).size, 1);
    t.is(statSync(join(path, 'bridge')).mode & 0o777, 0o755);
  }
});

test('install of some names leaves the others alone', async (t) => {
  const path = temporaryFolder(t);
  writeFileSync(join(path, 'bridge'), 'another');
  await suite('install', path, 'flannel');
  t.deepEqual(readdirSync(path).toSorted(), ['bridge', 'flannel']);
  t.is(readFileSync(join(path, 'bridge'), 'utf8'), 'another');
});

test('install says what is wrong with its folder or names', async (t) => {
  const path = temporaryFolder(t);
  const fails = async (expected: RegExp, ...args: string[]) => {
    const { exitCode, stderr } = await suite('install', ...args);
    t.is(exitCode, 1);
    t.regex(stderr, expected);
  };
  await fails(/install needs the folder to install into/);
  await fails(
    /Cannot install into ".*none": it is not a folder; make it first/,
    join(path, 'none'),
  );
  await fails(/Cannot install "frob": there is only flannel, .*, cnitool, cni-suite/, path, 'frob');
  mkdirSync(join(path, 'bridge'));
  await fails(/Cannot install into ".*": rename.*: is a directory/, path, 'bridge');
  t.deepEqual(readdirSync(path), ['bridge'], 'nothing of the attempt stays');
});

test('install into a full or read-only file system leaves the old files whole', async (t) => {
  const path = temporaryFolder(t);
  const script = (option: string) => `
    mount -t tmpfs -o size=1m none ${path} && echo old > ${path}/bridge && mount -o remount,${option} ${path}
    ${[...ownProgram('cni-suite').slice(0, BIN ? undefined : -1), 'install', path].join(' ')}
    echo "exit $?"; cat ${path}/bridge; ls ${path}`;
  for (const [option, reason] of [
    ['size=1m', 'no space left on device'],
    ['ro', 'read-only file system'],
  ] as const) {
    const { stdout, stderr } = await execa('unshare', ['--mount', 'sh', '-c', script(option)], {
      reject: false,
    });
    t.regex(stderr, new RegExp(`Cannot install into "${path}": .*${reason}`));
    t.is(stdout, 'exit 1\nold\nbridge');
  }
});

test('a flannel ADD is one process: nothing is executed', async (t) => {
  if (isSkippedFromSource(t, 'the plugins are not found in CNI_PATH')) return;
  await using node = await TestNode.create();
  node.writeFile('subnet.env', SUBNET_ENV);
  const netns = await node.addPod('a');
  const call = { plugin: 'flannel', config: flannelConfig(node), netns };
  for (const command of ['ADD', 'DEL']) {
    const { exitCode, executed, made } = await processesOf(node, command, call);
    t.is(exitCode, 0, command);
    t.is(executed.length, 1, command);
    t.deepEqual(made, [], command);
  }
});
