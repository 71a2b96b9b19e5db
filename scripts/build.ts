/**
 * Builds dist/bin: one bundle, one executable, hard-linked under the name of each program.
 * Needs no network; strip (binutils) makes it smaller if it is there.
 */
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';
import { build, type Plugin } from 'esbuild';
import { execa, ExecaError } from 'execa';
import { COMMAND_NAMES, PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';

const ROOT = join(import.meta.dirname, '..');
mkdirSync(join(ROOT, 'dist'), { recursive: true });
const WORK = mkdtempSync(join(ROOT, 'dist', 'work-'));
const BIN = join(ROOT, 'dist', 'bin');
const NAMES = [...PLUGIN_NAMES, ...COMMAND_NAMES, 'cni-suite'];

/** The library that most calls do not need, and whose evaluation takes longer than all of ours. */
const LAZY = 'execa';

/** Replaces its import by getters that load it when one of its exports is touched. */
const lazyModule: Plugin = {
  name: 'lazy-module',
  setup(bundler) {
    const file = JSON.stringify(fileURLToPath(import.meta.resolve(LAZY)));
    bundler.onResolve({ filter: new RegExp(`^${LAZY}$`) }, ({ path }) => ({
      path,
      namespace: 'lazy',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'lazy' }, async () => {
      const names = Object.keys(await import(LAZY));
      const getters = names.map((name) => `get ${name}() { return require(${file}).${name}; }`);
      return { contents: `module.exports = { ${getters.join(', ')} };`, resolveDir: ROOT };
    });
  },
};

/** Node's own settings for single executables: the environment's NODE_OPTIONS have no say. */
const SEA_CONFIG = {
  useSnapshot: false,
  useCodeCache: true,
  disableExperimentalSEAWarning: true,
  execArgv: ['--disable-warning=ExperimentalWarning'],
  execArgvExtension: 'none',
};

mkdirSync(BIN, { recursive: true });
await pack(await bundle());
rmSync(WORK, { recursive: true });
const { size } = statSync(join(BIN, 'cni-suite'));
console.log(
  `dist/bin: one file of ${Math.round(size / 1e6)} MB under the names ${NAMES.join(', ')}`,
);

/** @returns the path of the bundle */
async function bundle(): Promise<string> {
  const outfile = join(WORK, 'cni-suite.cjs');
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['cmd/cni-suite/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    // Names stay: they stand in the stacks that people send.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    plugins: [lazyModule],
  });
  return outfile;
}

/** The bundle and the pinned Node, stripped of debug symbols, become one executable. */
async function pack(bundled: string): Promise<void> {
  const node = join(WORK, 'node');
  copyFileSync(process.execPath, node);
  await strip(node);
  const output = join(WORK, 'cni-suite');
  await sea.default(bundled, {
    targets: [{ platform: 'linux', arch: process.arch, nodeRange: 'node26', output }],
    nodePath: node,
    seaConfig: SEA_CONFIG,
  });
  chmodSync(output, 0o755);
  for (const name of NAMES) {
    // Whoever runs the last build's file goes on with it.
    linkSync(output, join(WORK, `new-${name}`));
    renameSync(join(WORK, `new-${name}`), join(BIN, name));
  }
}

async function strip(file: string): Promise<void> {
  try {
    await execa('strip', ['--strip-unneeded', file]);
  } catch (error) {
    if (!(error instanceof ExecaError) || error.code !== 'ENOENT') throw error;
    console.log('No strip (package binutils) here: the executable gets 30 MB larger');
  }
}
