import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { GUEST_TOOLS, systemPath, TEST_TOOLS } from '#scripts/world/tools.ts';
import { ROOT } from '#scripts/world/paths.ts';
import table from '#scripts/world/tools.json' with { type: 'json' };
import { temporaryFolder, writeProgram } from '#test/folder.ts';

const GATE = join(ROOT, '.ci', 'run');

test('the gate installs the package of every command that the tests need, before it runs anything of npm', async (t) => {
  const folder = temporaryFolder(t);
  const log = join(folder, 'log');
  for (const name of ['apt-get', 'npm']) {
    writeProgram(join(folder, name), `echo ${name} "$@" >> ${log}`);
  }
  const path = [folder, dirname(process.execPath), process.env['PATH']].join(':');
  await execa(GATE, { env: { PATH: path } });
  const [update, install = '', ...rest] = readFileSync(log, 'utf8').trimEnd().split('\n');
  t.deepEqual([update, ...rest], ['apt-get -q update', 'npm ci', 'npm test']);
  const [, packages = ''] =
    /^apt-get -q install -y --no-install-recommends (.*)$/.exec(install) ?? [];
  const needed = new Set([...TEST_TOOLS, ...GUEST_TOOLS].map((tool) => table.packages[tool]));
  t.deepEqual(new Set(packages.split(' ')), needed);
  for (const name of ['mount', 'time', 'iproute2']) t.true(needed.has(name), name);
  t.false(needed.has(undefined as never), 'a command of "tests" has no package');
});

test('systemPath() has the folders of the system and none of npm', (t) => {
  const path = systemPath(
    '/home/me/node_modules/.bin::/opt/bin:/usr/lib/node_modules/npm/bin:/bin',
  );
  t.deepEqual(path.split(':').slice(0, 2), ['/opt/bin', '/bin']);
  t.true(path.split(':').includes('/usr/sbin'));
  t.false(path.includes('node_modules'));
});
