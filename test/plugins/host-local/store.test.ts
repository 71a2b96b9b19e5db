/** The store of reservations within one process. */
import { writeFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { Store } from '#plugins/host-local/store.ts';
import { temporaryFolder } from '#test/folder.ts';

const OWNER = { containerID: 'cid1', ifName: 'eth0' };
const EVIDENCE = { boot: 'b', sandbox: undefined, isGuarded: true };

test('what an ADD undoes is its own: not what a later ADD of the same container has by now', (t) => {
  const folder = temporaryFolder(t);
  const [mine, its] = [Address.parse('10.1.0.2'), Address.parse('10.1.0.3')];
  {
    using store = new Store({ dataDir: folder, network: 'net1' });
    t.true(store.reserve(mine, OWNER, EVIDENCE));
  }
  // A DEL came, then another ADD.
  rmSync(join(folder, 'net1', String(mine)));
  for (const address of [mine, its]) {
    // It takes the inode that was given back: a guarded reservation keeps its own.
    writeFileSync(join(folder, 'net1', `new-${address}`), 'x');
    writeFileSync(join(folder, 'net1', String(address)), 'cid1\r\neth0');
  }
  {
    using store = new Store({ dataDir: folder, network: 'net1' });
    store.release(OWNER);
  }
  const left = readdirSync(join(folder, 'net1')).filter((name) => name.startsWith('10.'));
  t.deepEqual(left, [String(mine), String(its)]);
});
