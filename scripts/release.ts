/** Makes dist/cni-plugins-linux-<arch>-v<version>.tgz: the plugins at its root, hard links kept, and its SHA-256 beside it. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { RELEASE } from '#lib/sys/release.ts';
import { ensureBuilt } from './world/built.ts';
import { BUILT_BIN, ROOT } from './world/paths.ts';
import { runMain } from './world/script.ts';

/** As the reference plugins' releases name the architectures. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

await runMain('release', async () => {
  await ensureBuilt();
  await makeTarball();
  return 0;
});

async function makeTarball(): Promise<void> {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const tarball = join(ROOT, 'dist', `cni-plugins-linux-${architecture}-v${RELEASE}.tgz`);
  await execa('tar', [
    '--create',
    '--gzip',
    `--file=${tarball}`,
    `--directory=${BUILT_BIN}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    ...PLUGIN_NAMES.map((name) => `./${name}`),
  ]);
  const digest = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  writeFileSync(`${tarball}.sha256`, `${digest}  ${basename(tarball)}\n`);
  console.log(
    `${tarball.slice(ROOT.length + 1)}: ${Math.round(statSync(tarball).size / 1e6)} MB, SHA-256 ${digest}`,
  );
}
