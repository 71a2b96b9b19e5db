import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseListFile } from '#cmd/cnitool/config.ts';
import { findNetwork, listNetworks } from '#cmd/cnitool/network-list.ts';
import { temporaryFolder } from '#test/folder.ts';

/** A folder with these files, gone after the test. */
function folderOf(t: ExecutionContext, files: Readonly<Record<string, object | string>>): string {
  const folder = temporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const list = (name: string, ...types: string[]) => ({
  cniVersion: '1.0.0',
  name,
  plugins: types.map((type) => ({ type })),
});

const typesOf = ({ plugins }: { plugins: readonly { type: string }[] }) =>
  plugins.map(({ type }) => type);

test('findNetwork() takes the first list of the name, in the order of file names', (t) => {
  const folder = folderOf(t, {
    '20-b.conflist': list('blue', 'late'),
    '10-a.conflist': list('blue', 'early'),
    '00-c.conf': { name: 'blue', type: 'single' },
  });
  const network = findNetwork(folder, 'blue');
  t.deepEqual(typesOf(network), ['early']);
  t.is(network.file, join(folder, '10-a.conflist'));
});

test('findNetwork() makes a list of a file of one plugin, whatever its ending and letters', (t) => {
  const folder = folderOf(t, {
    '10-a.conflist': list('red', 'x'),
    '10-a.conf': { name: 'green', type: 'g' },
    '20-b.json': { NAME: 'blue', CNIVersion: '0.4.0', type: 'single', mtu: 5 },
  });
  const network = findNetwork(folder, 'blue');
  t.is(network.cniVersion, '0.4.0');
  t.deepEqual(network.plugins[0]?.json['mtu'], 5);
  const { name, plugins } = JSON.parse(network.text) as { name: string; plugins: object[] };
  t.is(name, 'blue');
  t.is(plugins.length, 1);
});

test("findNetwork() appends the plugins of the network's own folder", (t) => {
  const files = {
    'blue/20-b.conf': { type: 'b' },
    'blue/10-a.conf': { type: 'a' },
    'blue/30-c.json': { type: 'no' },
  };
  const folder = folderOf(t, { ...files, '10.conflist': list('blue', 'main') });
  t.deepEqual(typesOf(findNetwork(folder, 'blue')), ['main', 'a', 'b']);
  const without = folderOf(t, { ...files, '10.conflist': { name: 'blue' } });
  t.deepEqual(typesOf(findNetwork(without, 'blue')), ['a', 'b']);
  const inlined = { ...list('blue', 'main'), loadOnlyInlinedPlugins: 'TRUE' };
  t.deepEqual(typesOf(findNetwork(folderOf(t, { ...files, '10.conflist': inlined }), 'blue')), [
    'main',
  ]);
});

const fails = test.macro({
  exec(t, files: Readonly<Record<string, object | string>>, message: string) {
    const folder = folderOf(t, files);
    t.throws(() => findNetwork(folder, 'blue'), { message: message.replaceAll('DIR', folder) });
  },
  title: (_, files: object, message: string) =>
    `findNetwork() says: ${message} (${Object.keys(files).join(' ')})`,
});

test(fails, {}, 'no net configurations found in DIR');
test(fails, { 'a.yaml': '' }, 'no net configurations found in DIR');
test(fails, { 'a.conflist': list('red', 'x') }, 'no net configuration with name "blue" in DIR');
test(
  fails,
  { 'a.conf': { name: 'red', type: 'x' } },
  'no net configuration with name "blue" in DIR',
);
test(
  fails,
  { 'a.conflist': { plugins: [{}] }, 'b.conflist': list('blue', 'x') },
  'Cannot load "DIR/a.conflist": error parsing configuration list: no name',
);
test(
  fails,
  { 'a.conflist': { name: 'blue' } },
  'Cannot load "DIR/a.conflist": no plugin configs found',
);
test(
  fails,
  { 'a.conflist': list('blue', 'x'), 'blue/a.conf': {} },
  'Cannot load "DIR/a.conflist": Cannot load "DIR/blue/a.conf": error parsing configuration: missing \'type\'',
);
test(
  fails,
  { 'a.json': { name: 'blue' } },
  'Cannot load "DIR/a.json": error parsing configuration: missing \'type\'',
);

const version = test.macro({
  exec(t, keys: object, expected: string) {
    t.is(parseListFile(JSON.stringify({ ...list('blue', 'x'), ...keys })).cniVersion, expected);
  },
  title: (_, keys, expected) => `the effective version of ${JSON.stringify(keys)} is ${expected}`,
});

test(version, { cniVersion: undefined }, '0.1.0');
test(version, { cniVersion: '' }, '0.1.0');
test(version, { cniVersion: '0.3.1' }, '0.3.1');
test(version, { cniVersion: '0.3.1', cniVersions: ['0.4.0', '1.0.0', '0.3.0'] }, '1.0.0');
test(version, { cniVersion: '1.1.0', cniVersions: ['0.4.0'] }, '1.1.0');
test(version, { cniVersion: '0.4.0', cniVersions: ['1.2.0', '2.0.0'] }, '0.4.0');
test(version, { cniVersion: '2.0.0', cniVersions: ['1.0.0'] }, '1.0.0');
test(version, { cniVersion: undefined, cniVersions: ['1.0.0'] }, '1.0.0');
test(version, { cniVersion: '9.9.9' }, '9.9.9');

const malformed = test.macro({
  exec(t, keys: object, fault: string) {
    const text = JSON.stringify({ ...list('blue', 'x'), ...keys });
    t.throws(() => parseListFile(text), { message: fault });
  },
  title: (_, keys, fault) => `parseListFile() says of ${JSON.stringify(keys)}: ${fault}`,
});

const PREFIX = 'error parsing configuration list: ';
test(malformed, { name: 5 }, `${PREFIX}"name" must be a string, not 5`);
test(malformed, { cniVersion: 1 }, `${PREFIX}"cniVersion" must be a string, not 1`);
test(malformed, { cniVersions: 'x' }, `${PREFIX}"cniVersions" must be an array, not "x"`);
test(
  malformed,
  { cniVersions: ['1.0.0', 'x'] },
  `${PREFIX}"cniVersions[1]" must be a version such as "1.1.0", not "x"`,
);
test(malformed, { cniVersion: 'x', cniVersions: [] }, `${PREFIX}invalid cniVersion x`);
test(
  malformed,
  { disableCheck: 'yes' },
  `${PREFIX}"disableCheck" must be true or false, not "yes"`,
);
test(malformed, { disableGC: null }, `${PREFIX}"disableGC" must be true or false, not null`);
test(malformed, { plugins: [] }, `${PREFIX}no plugins in list`);
test(malformed, { plugins: {} }, `${PREFIX}"plugins" must be an array, not {}`);
test(
  malformed,
  { plugins: undefined, loadOnlyInlinedPlugins: true },
  `${PREFIX}\`loadOnlyInlinedPlugins\` is true, and no 'plugins' key`,
);
test(
  malformed,
  { plugins: [{ type: 'a' }, {}] },
  "failed to parse plugin config 1: error parsing configuration: missing 'type'",
);
test(
  malformed,
  { plugins: [{ type: 'a', capabilities: { mac: 'yes' } }] },
  'failed to parse plugin config 0: error parsing configuration: "capabilities.mac" must be a boolean, not "yes"',
);

test('parseListFile() takes flags as words too', (t) => {
  const text = JSON.stringify({ ...list('blue', 'x'), disableCheck: 'True', disableGC: true });
  const { disableCheck, disableGC, loadOnlyInlinedPlugins } = parseListFile(text);
  t.deepEqual([disableCheck, disableGC, loadOnlyInlinedPlugins], [true, true, false]);
});

test('listNetworks() goes on after a broken file', (t) => {
  const folder = folderOf(t, { 'a.conflist': '{', 'b.conflist': list('blue', 'x') });
  const [broken, usable] = listNetworks(folder);
  t.true(broken !== undefined && 'fault' in broken && broken.fault.startsWith(PREFIX));
  t.true(usable !== undefined && 'name' in usable && usable.name === 'blue');
});
