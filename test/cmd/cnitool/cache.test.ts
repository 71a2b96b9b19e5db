import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { deleteResult, listCache, loadResult, saveResult } from '#cmd/cnitool/cache.ts';
import type { Network } from '#cmd/cnitool/network-list.ts';
import { plantVictim, temporaryFolder } from '#test/folder.ts';
import { CniError } from '#lib/cni/error.ts';

const NETWORK: Network = {
  name: 'blue',
  cniVersion: '1.0.0',
  disableCheck: false,
  disableGC: false,
  loadOnlyInlinedPlugins: false,
  plugins: [],
  file: '/etc/cni/net.d/10-blue.conflist',
  text: '{"name":"blue"}',
};

const ATTACHMENT = {
  containerID: 'cnitool-1',
  ifName: 'eth0',
  netns: '/run/netns/a',
  cniArgs: [['K', 'V']] as const,
  capabilityArgs: { mac: 'm' },
};

const RESULT = { cniVersion: '1.0.0', ips: [{ address: '10.1.0.2/24' }] };

/** An entry with the keys of libcni's cachedInfo (libcni/api.go), its result as its types print a 0.4.0. */
const OF_LIBCNI = JSON.stringify({
  kind: 'cniCacheV1',
  containerId: 'cnitool-1',
  config: 'e30=',
  ifName: 'eth0',
  networkName: 'blue',
  netns: '/run/netns/a',
  result: { cniVersion: '0.4.0', dns: {}, ips: [{ address: '10.1.0.9/24', version: '4' }] },
});

/** A cache with one file, which is that of ATTACHMENT unless named otherwise. */
function cacheWith(t: ExecutionContext, text: string, file = 'blue-cnitool-1-eth0'): string {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'results'));
  writeFileSync(join(folder, 'results', file), text);
  return folder;
}

const addresses = (folder: string) =>
  loadResult(folder, { name: 'blue' }, ATTACHMENT)?.ips.map(({ address }) => address.toString());

test("saveResult() writes libcni's format under libcni's name, for root alone", (t) => {
  const folder = temporaryFolder(t);
  saveResult(folder, NETWORK, ATTACHMENT, RESULT);
  const path = join(folder, 'results', 'blue-cnitool-1-eth0');
  t.deepEqual(readdirSync(join(folder, 'results')), ['blue-cnitool-1-eth0']);
  t.deepEqual(JSON.parse(readFileSync(path, 'utf8')), {
    kind: 'cniCacheV1',
    containerId: 'cnitool-1',
    config: 'eyJuYW1lIjoiYmx1ZSJ9',
    ifName: 'eth0',
    networkName: 'blue',
    netns: '/run/netns/a',
    cniArgs: [['K', 'V']],
    capabilityArgs: { mac: 'm' },
    result: RESULT,
  });
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(folder, 'results')).mode & 0o777, 0o700);
});

test('saveResult() leaves out what there is nothing of', (t) => {
  const folder = temporaryFolder(t);
  saveResult(
    folder,
    NETWORK,
    { ...ATTACHMENT, netns: '', cniArgs: [], capabilityArgs: {} },
    RESULT,
  );
  const text = readFileSync(join(folder, 'results', 'blue-cnitool-1-eth0'), 'utf8');
  t.deepEqual(Object.keys(JSON.parse(text) as object), [
    'kind',
    'containerId',
    'config',
    'ifName',
    'networkName',
    'result',
  ]);
});

test('saveResult() replaces the file, it does not write into it', (t) => {
  const folder = cacheWith(t, 'old');
  const path = join(folder, 'results', 'blue-cnitool-1-eth0');
  const before = statSync(path).ino;
  saveResult(folder, NETWORK, ATTACHMENT, RESULT);
  t.not(statSync(path).ino, before);
  t.deepEqual(addresses(folder), ['10.1.0.2/24']);
});

test('loadResult() reads what libcni wrote, whatever its version', (t) => {
  t.deepEqual(addresses(cacheWith(t, OF_LIBCNI)), ['10.1.0.9/24']);
});

test('loadResult() reads the bare results of old', (t) => {
  t.deepEqual(addresses(cacheWith(t, JSON.stringify(RESULT))), ['10.1.0.2/24']);
  t.deepEqual(addresses(cacheWith(t, '{"ip4":{"ip":"10.1.0.3/24"},"dns":{}}')), ['10.1.0.3/24']);
});

test('loadResult() knows nothing of what was never added', (t) => {
  t.is(loadResult(temporaryFolder(t), { name: 'blue' }, ATTACHMENT), undefined);
});

for (const text of ['', '{', '[]', '{}', '{"kind":"other"}', '{"kind":"cniCacheV1","netns":5}']) {
  test(`loadResult() refuses a file with ${text || 'nothing'} in it`, (t) => {
    const folder = cacheWith(t, text);
    t.throws(() => loadResult(folder, { name: 'blue' }, ATTACHMENT), {
      instanceOf: CniError,
      message: /^corrupt cache entry: /,
    });
  });
}

test('loadResult() tells of a kind that is missing', (t) => {
  t.throws(() => loadResult(cacheWith(t, '{}'), { name: 'blue' }, ATTACHMENT), {
    message: 'corrupt cache entry: "kind" is missing: it must be "cniCacheV1"',
  });
});

test('loadResult() refuses a result with a bad address', (t) => {
  const folder = cacheWith(t, '{"cniVersion":"1.0.0","ips":[{"address":"x"}]}');
  t.throws(() => loadResult(folder, { name: 'blue' }, ATTACHMENT), {
    message: /^Invalid cached result: .*"x"/,
  });
});

test('deleteResult() accepts a file that is gone', (t) => {
  const folder = cacheWith(t, 'x');
  deleteResult(folder, { name: 'blue' }, ATTACHMENT);
  deleteResult(folder, { name: 'blue' }, ATTACHMENT);
  t.deepEqual(readdirSync(join(folder, 'results')), []);
});

test('listCache() tells attachments, bare results and faults apart', (t) => {
  const folder = cacheWith(t, OF_LIBCNI);
  writeFileSync(join(folder, 'results', 'c'), JSON.stringify(RESULT));
  writeFileSync(join(folder, 'results', 'd'), '{');
  writeFileSync(join(folder, 'results', '.tmp-1'), OF_LIBCNI);
  const [attachment, bare, broken, ...more] = listCache(folder);
  t.like(attachment, {
    network: 'blue',
    containerID: 'cnitool-1',
    ifName: 'eth0',
    netns: '/run/netns/a',
  });
  t.deepEqual(bare, { file: 'c', result: RESULT, fault: '' });
  t.like(broken, { file: 'd', result: undefined });
  t.deepEqual(more, []);
});

test('listCache() takes nobody for an attachment whose file has another name: DEL would remove that one', (t) => {
  const climbing = OF_LIBCNI.replace('cnitool-1', '../../victim');
  const [entry] = listCache(cacheWith(t, climbing));
  t.like(entry, { result: undefined, fault: 'it tells of another attachment than its name' });
});

test('a link in the place of an entry, or of the folder, is not followed', (t) => {
  const victim = plantVictim(t, OF_LIBCNI);
  const folder = cacheWith(t, '{', 'other');
  const path = join(folder, 'results', 'blue-cnitool-1-eth0');
  symlinkSync(victim.path, path);
  t.throws(() => loadResult(folder, { name: 'blue' }, ATTACHMENT), {
    message: /blue-cnitool-1-eth0: it is a symbolic link/,
  });
  t.like(listCache(folder)[0], { result: undefined });
  deleteResult(folder, { name: 'blue' }, ATTACHMENT);
  t.false(existsSync(path));
  symlinkSync(victim.path, path);
  saveResult(folder, NETWORK, ATTACHMENT, RESULT);
  t.true(lstatSync(path).isFile());
  t.true(victim.isUntouched());

  const elsewhere = temporaryFolder(t);
  symlinkSync(join(folder, 'results'), join(elsewhere, 'results'));
  t.throws(() => listCache(elsewhere), { message: /results: it is a symbolic link/ });
  t.throws(() => saveResult(elsewhere, NETWORK, ATTACHMENT, RESULT), { message: /symbolic link/ });
});

test('listCache() finds nothing where no cache is', (t) => {
  t.deepEqual(listCache('/nonexistent'), []);
});
