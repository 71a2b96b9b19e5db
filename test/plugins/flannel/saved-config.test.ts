/** What else may stand in the place of a saved configuration. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { deleteConfig, gcConfigs, loadConfig, saveConfig } from '#plugins/flannel/saved-config.ts';
import { plantVictim, temporaryFolder } from '#test/folder.ts';

const KEY = { network: 'net1', containerID: 'cid1', ifName: 'eth0', netns: undefined };
const NOTHING_VALID = { network: 'net1', valid: [] };
const CONFIG = JSON.stringify({ type: 'bridge', name: 'net1' });

for (const name of ['cid1', 'cid1:eth0']) {
  test(`a link "${name}" is not followed`, (t) => {
    const victim = plantVictim(t, CONFIG);
    const folder = temporaryFolder(t);
    symlinkSync(victim.path, join(folder, name));
    t.is(loadConfig(folder, KEY), undefined);
    using undo = new DisposableStack();
    saveConfig(folder, KEY, { type: 'ptp' }, undo);
    t.deepEqual(loadConfig(folder, KEY), { type: 'ptp' });
    undo.dispose();
    t.true(victim.isUntouched());
    deleteConfig(folder, KEY);
    t.deepEqual(readdirSync(folder), []);
    symlinkSync(victim.path, join(folder, name));
    gcConfigs(folder, NOTHING_VALID);
    t.true(victim.isUntouched());
  });
}

test('a folder in the place of a saved configuration holds up neither DEL nor GC', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'cid1:eth0'));
  writeFileSync(join(folder, 'cid2'), CONFIG);
  t.is(loadConfig(folder, KEY), undefined);
  deleteConfig(folder, KEY);
  gcConfigs(folder, NOTHING_VALID);
  t.deepEqual(readdirSync(folder), ['cid1:eth0']);
});
