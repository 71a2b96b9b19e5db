/** The files of backups: the reference plugin's, and what is left of one. */
import { existsSync, symlinkSync } from 'node:fs';
import test from 'ava';
import { parseMac } from '#lib/addr/mac.ts';
import {
  backupPath,
  decodeBackup,
  deleteBackup,
  encodeBackup,
  gcBackups,
  readBackup,
} from '#plugins/tuning/backup.ts';
import { plantVictim, temporaryFolder } from '#test/folder.ts';

// As release 1.1.1 writes it.
const THEIRS = `{
 "mac": "1a:f5:f1:47:ac:ab",
 "promisc": false,
 "mtu": 1500,
 "allmulti": false
}`;

const FORMER = { mac: parseMac('1a:f5:f1:47:ac:ab'), promisc: false, mtu: 1500, allmulti: false };

test("the reference plugin's file is read; it names no network and no namespace", (t) => {
  t.deepEqual(decodeBackup(THEIRS), { former: FORMER, network: undefined, sandbox: undefined });
});

test("ours begins with the reference plugin's bytes, and is read as it was written", (t) => {
  const backup = {
    former: FORMER,
    network: 'net1',
    sandbox: { path: '/run/netns/a', id: '4:4026532000', view: '4:4026531841/254:2' },
  };
  const text = encodeBackup(backup);
  t.is(
    text,
    `${THEIRS.slice(0, -2)},
 "cniSuite": {
  "network": "net1",
  "sandbox": "netns 4:4026532000 seen in 4:4026531841/254:2 /run/netns/a"
 }
}`,
  );
  t.deepEqual(decodeBackup(text), backup);
});

test('values that are falsy are values: a queue of length 0', (t) => {
  const text = encodeBackup({ former: { txQLen: 0 }, network: 'n', sandbox: undefined });
  t.deepEqual(decodeBackup(text)?.former, { txQLen: 0 });
});

for (const text of ['', ' ', '{', '{"mtu": 15', '[]', 'null', '{"mac": "1a:f5"}', '{"mtu": "x"}']) {
  test(`torn: ${JSON.stringify(text)}`, (t) => {
    t.is(decodeBackup(text), undefined);
  });
}

test('a link in the place of a backup is not followed', (t) => {
  const text = encodeBackup({ former: FORMER, network: 'net1', sandbox: undefined });
  const victim = plantVictim(t, text);
  const folder = temporaryFolder(t);
  const path = backupPath(folder, { containerID: 'cid1', ifName: 'eth0' });
  symlinkSync(victim.path, path);
  t.is(readBackup(path), undefined);
  gcBackups(folder, { network: 'net1', valid: [] });
  deleteBackup(path);
  t.false(existsSync(path));
  t.true(victim.isUntouched());
});
