/** What else may stand in the place of an admission. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Admission } from '#plugins/firewall/config.ts';
import {
  deleteAdmission,
  listOthers,
  loadAdmission,
  lockChains,
  saveAdmission,
  takeAddresses,
} from '#plugins/firewall/store.ts';
import { plantVictim, temporaryFolder } from '#test/folder.ts';

const ADMISSION: Admission = {
  network: 'net1',
  containerID: 'cid1',
  ifName: 'eth0',
  backend: 'iptables',
  zone: 'trusted',
  addresses: [Prefix.parse('10.1.0.2/32')],
};

/** Saves an admission. @returns its file's name and its content */
function saved(folder: string) {
  saveAdmission(folder, ADMISSION);
  const [name = ''] = readdirSync(folder);
  return { name, content: readFileSync(join(folder, name), 'utf8') };
}

test('a link in the place of an admission is not followed', (t) => {
  const { name, content } = saved(temporaryFolder(t));
  const victim = plantVictim(t, content);
  const folder = temporaryFolder(t);
  symlinkSync(victim.path, join(folder, name));
  t.is(loadAdmission(folder, ADMISSION), undefined);
  t.deepEqual(listOthers(folder, []), []);
  takeAddresses(folder, { ...ADMISSION, containerID: 'cid2' });
  deleteAdmission(folder, ADMISSION);
  t.deepEqual(readdirSync(folder), []);
  symlinkSync(victim.path, join(folder, name));
  saveAdmission(folder, ADMISSION);
  t.is(loadAdmission(folder, ADMISSION)?.containerID, 'cid1');
  t.true(victim.isUntouched());
});

test('a link in the place of the lock is refused by its name', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('elsewhere', join(folder, 'lock'));
  t.throws(() => lockChains(folder), { message: /lock: it is a symbolic link/ });
  t.deepEqual(readdirSync(folder), ['lock']);
});

test('an admission that tells of another attachment than its name leads nobody out of the folder', (t) => {
  const folder = join(temporaryFolder(t), 'a', 'b');
  const { name, content } = saved(folder);
  const climbing = content.replace('cid1', '../../victim');
  writeFileSync(join(folder, name), climbing);
  // Where a name made of its container ID would lead.
  const outside = join(folder, name.replace('cid1', '../../victim'));
  writeFileSync(outside, climbing);
  t.deepEqual(listOthers(folder, []), []);
  takeAddresses(folder, { ...ADMISSION, containerID: 'cid2' });
  t.is(readFileSync(outside, 'utf8'), climbing);
});

test('a folder in the place of an admission holds up nobody', (t) => {
  const folder = temporaryFolder(t);
  const { name } = saved(folder);
  renameSync(join(folder, name), join(folder, 'x'));
  mkdirSync(join(folder, name));
  t.deepEqual(listOthers(folder, []), []);
  deleteAdmission(folder, ADMISSION);
  t.true(readdirSync(folder).includes(name));
});
