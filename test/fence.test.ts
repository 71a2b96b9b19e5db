/** The linter's fences between rooms (oxlint.config.ts): each is seen to stop an import, and to let through what the room needs. */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { ROOT } from '#scripts/world/paths.ts';
import { temporaryFolder } from '#test/folder.ts';

/** A file that the linter gets to see, and whether it must be refused. */
interface Probe {
  readonly path: string;
  readonly code: string;
  readonly isRefused: boolean;
}

const probe = (room: string, code: string, isRefused: boolean): Probe => ({
  path: `${room}/probe.ts`,
  code,
  isRefused,
});
const imports = (target: string): string => `import { x } from '${target}';\nx();\n`;
const refused = (room: string, target: string): Probe => probe(room, imports(target), true);
const allowed = (room: string, target: string): Probe => probe(room, imports(target), false);

/** Each of a folder of its own, so that none hides another. */
const PROBES: readonly Probe[] = [
  // Upwards, layer by layer.
  refused('lib/addr', '#lib/sys/file.ts'),
  refused('lib/addr', '#lib/cni/error.ts'),
  refused('lib/sys', '#lib/net/link.ts'),
  refused('lib/sys', '#plugins/bridge/main.ts'),
  refused('lib/net', '#lib/netfilter/iptables.ts'),
  refused('lib/net', '#lib/cni/error.ts'),
  refused('lib/netfilter', '#lib/cni/error.ts'),
  refused('lib/netfilter', '#lib/ownership/owner.ts'),
  refused('lib/flannel', '#lib/cni/error.ts'),
  refused('lib/cni', '#lib/ownership/owner.ts'),
  refused('lib/ownership', '#lib/container-link/configure.ts'),
  refused('lib/container-link', '#plugins/bridge/main.ts'),
  refused('lib/ipam', '#cmd/cnitool/main.ts'),
  refused('plugins/bridge', '#cmd/cni-suite/programs.ts'),
  // Beside each other.
  refused('lib/ipam', '#lib/masquerade/masquerade.ts'),
  refused('lib/masquerade', '#lib/ipam/ipam.ts'),
  refused('lib/masquerade', '#lib/container-link/configure.ts'),
  refused('plugins/bridge', '#plugins/ptp/main.ts'),
  refused('cmd/cnitool', '#cmd/cni-suite/programs.ts'),
  refused('cmd/cnitool', '#plugins/bridge/main.ts'),
  refused('cmd/cni-suite', '#plugins/bridge/gateway.ts'),
  refused('cmd/cni-suite', '#cmd/cnitool/cache.ts'),
  // A room that the table does not have yet.
  refused('lib/addr', '#lib/kube/client.ts'),
  refused('lib/cni', '#package.json'),
  // Into tests and scripts, and around the names.
  refused('lib/net', '#test/node.ts'),
  refused('plugins/bridge', '#test/node.ts'),
  refused('cmd/cni-suite', '../../scripts/build.ts'),
  refused('lib/net', '../sys/file.ts'),
  // Libraries, each but in its room.
  refused('lib/sys', 'ip-address'),
  refused('plugins/bridge', 'ip-address'),
  refused('lib/net', 'node:fs'),
  refused('lib/cni', 'node:path'),
  refused('lib/cni', 'path'),
  refused('lib/sys', 'path'),
  refused('cmd/cnitool', 'fs/promises'),
  refused('plugins/bridge', 'execa'),
  refused('lib/netfilter', 'zod/mini'),
  refused('lib/cni', 'zod'),
  refused('plugins/bridge', 'zod/mini'),
  refused('cmd/cni-suite', 'zod/mini'),
  probe('lib/cni', 'export const a = process.env;\n', true),
  probe('plugins/bridge', "export const a = process.getBuiltinModule('node:fs');\n", true),
  probe('cmd/cnitool', 'export const a = process.argv;\n', true),
  // Between tests and scripts.
  refused('test', '#scripts/bench/side.ts'),
  refused('test/root', '#scripts/fuzz/watch.ts'),
  refused('test/fuzz', '../node.ts'),
  refused('scripts/kernels', '#test/node.ts'),
  refused('scripts/world', '#test/node.ts'),
  refused('scripts/world', '#lib/sys/netns.ts'),
  refused('scripts/world', '#scripts/demo/show.ts'),
  refused('scripts/demo', '#scripts/bench/side.ts'),
  refused('scripts/demo', '#test/node.ts'),
  refused('scripts/bench', '#test/node.ts'),
  refused('scripts/bench', '../demo/show.ts'),
  refused('scripts/new', '#scripts/bench/side.ts'),
  allowed('test/root', '#scripts/world/command.ts'),
  allowed('test/root', '#test/node.ts'),
  allowed('scripts/bench', '#scripts/build/executable.ts'),
  allowed('scripts/bench', '#lib/sys/netns.ts'),
  allowed('scripts/fuzz', '#test/fuzz/world.ts'),
  allowed('scripts/new', '#scripts/world/script.ts'),
  allowed('scripts', './demo/show.ts'),
  // What the rooms are for.
  allowed('lib/addr', 'ip-address'),
  allowed('lib/sys', 'node:fs'),
  allowed('lib/sys', 'execa'),
  allowed('lib/net', '#lib/sys/file.ts'),
  allowed('lib/netfilter', '#lib/net/link.ts'),
  allowed('lib/cni', '#lib/netfilter/iptables.ts'),
  allowed('lib/cni', 'zod/mini'),
  allowed('lib/ownership', '#lib/cni/attachment.ts'),
  allowed('lib/container-link', '#lib/ownership/owner.ts'),
  allowed('lib/flannel', '#lib/addr/prefix.ts'),
  allowed('plugins/bridge', '#lib/container-link/configure.ts'),
  allowed('plugins/bridge', './gateway.ts'),
  allowed('cmd/cni-suite', '#plugins/bridge/main.ts'),
  allowed('lib/sys', '#package.json'),
  { path: 'plugins/bridge/config.ts', code: imports('zod/mini'), isRefused: false },
];

test('the fence between rooms stops each import that the table does not have', async (t) => {
  const folder = temporaryFolder(t);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  copyFileSync(join(ROOT, 'oxlint.config.ts'), join(folder, 'oxlint.config.ts'));
  const files = PROBES.map(({ path, code }, index) => {
    const file = path.replace('/probe.ts', `/${index}.ts`);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code);
    return file;
  });
  const { stdout } = await execa(
    'oxlint',
    ['--format=json', 'lib', 'plugins', 'cmd', 'scripts', 'test'],
    {
      cwd: folder,
      preferLocal: true,
      localDir: ROOT,
      reject: false,
    },
  );
  const { diagnostics } = JSON.parse(stdout) as {
    readonly diagnostics: readonly { readonly filename: string; readonly code: string }[];
  };
  const stopped = new Set(
    diagnostics
      .filter(({ code }) => /no-restricted-(imports|globals)/.test(code))
      .map(({ filename }) => filename),
  );
  const wrong = PROBES.filter(
    ({ isRefused }, index) => stopped.has(files[index] ?? '') !== isRefused,
  );
  t.deepEqual(wrong, []);
});
