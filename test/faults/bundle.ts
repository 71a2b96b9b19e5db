/** Programs that are the plugins behind the door, named as the plugins are. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { ownScript } from '#scripts/world/command.ts';
import { ROOT } from '#scripts/world/paths.ts';
import { writeProgram } from '#test/folder.ts';

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
    const program = ownScript(bundle, name).flat().join(' ');
    writeProgram(join(folder, name), `NODE_COMPILE_CACHE=${folder}/cache exec ${program}`);
  }
}
