/** Programs that are the plugins behind the door, named as the plugins are. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** Makes them in a folder. */
export async function bundlePlugins(folder: string): Promise<void> {
  const bundle = join(folder, 'plugins.cjs');
  mkdirSync(folder, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['test/faults/program.ts'],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
  });
  for (const name of PLUGIN_NAMES) {
    const flags = '--disable-warning=ExperimentalWarning';
    const script = `#!/bin/sh\nNODE_COMPILE_CACHE=${folder}/cache exec ${process.execPath} ${flags} ${bundle} ${name}\n`;
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  }
}
