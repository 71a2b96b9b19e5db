/**
 * Builds dist/bin: two bundles, ours and execa's, and one executable, hard-linked under the name of each program.
 * Needs no network; strip (binutils) makes it smaller if it is there.
 */
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { execa, ExecaError } from 'execa';
import { COMMAND_NAMES, PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';

const ROOT = join(import.meta.dirname, '..');
mkdirSync(join(ROOT, 'dist'), { recursive: true });
const WORK = mkdtempSync(join(ROOT, 'dist', 'work-'));
const BIN = join(ROOT, 'dist', 'bin');
const NAMES = [...PLUGIN_NAMES, ...COMMAND_NAMES, 'cni-suite'];

/** The library that most calls do not need, and whose evaluation takes longer than all of ours: a bundle of its own. */
const LIBRARY = 'execa';

/** The table of programs, of which a call needs one or a few. */
const PROGRAMS = join(ROOT, 'cmd', 'cni-suite', 'programs.ts');

/** Replaces imports of the library, and of a program by the table, by getters that load it when one of its exports is touched. */
const lazyModules: Plugin = {
  name: 'lazy-modules',
  setup(bundler) {
    bundler.onResolve({ filter: new RegExp(`^${LIBRARY}$`) }, ({ path, kind }) =>
      kind === 'require-call' ? { path, external: true } : { path, namespace: 'lazy' },
    );
    bundler.onResolve({ filter: /^#(plugins|cmd)\/.*\/main\.ts$/ }, ({ path, importer }) =>
      importer === PROGRAMS ? { path, namespace: 'lazy' } : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => {
      const names = Object.keys((await import(path)) as object);
      const getters = names.map((name) => `get ${name}() { return require('${path}').${name}; }`);
      return { contents: `module.exports = { ${getters.join(', ')} };`, resolveDir: ROOT };
    });
  },
};

/** What scripts/loader.cjs calls a bundle with. */
const WRAPPER = { before: '(function (require, module) {', after: '\n})' };

const BUNDLE_OPTIONS: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node26',
  // Names stay: they stand in the stacks that people send.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  banner: { js: WRAPPER.before },
  footer: { js: WRAPPER.after },
};

mkdirSync(BIN, { recursive: true });
const assets = {
  ...(await bundle('cni-suite', {
    entryPoints: ['cmd/cni-suite/main.ts'],
    plugins: [lazyModules],
  })),
  ...(await bundle(LIBRARY, {
    stdin: { contents: `export * from '${LIBRARY}';`, resolveDir: ROOT },
  })),
};
await pack();
rmSync(WORK, { recursive: true });
const { size } = statSync(join(BIN, 'cni-suite'));
console.log(
  `dist/bin: one file of ${Math.round(size / 1e6)} MB under the names ${NAMES.join(', ')}`,
);

/** Bundles one of the two, and compiles every function of it. @returns both files by the loader's names */
async function bundle(name: string, options: BuildOptions): Promise<Record<string, string>> {
  const [code, cache] = [join(WORK, `${name}.cjs`), join(WORK, `${name}.cache`)];
  await build({ ...BUNDLE_OPTIONS, ...options, outfile: code });
  setFlagsFromString('--no-lazy');
  const script = new Script(readFileSync(code, 'latin1'), { filename: `${name}.cjs` });
  // The executable runs with the default, and V8 takes no cache that was made with other flags.
  setFlagsFromString('--lazy');
  writeFileSync(cache, script.createCachedData());
  return { [`${name}.cjs`]: code, [`${name}.cache`]: cache };
}

/** The loader, the bundles and the pinned Node, stripped of debug symbols, become one executable. */
async function pack(): Promise<void> {
  const node = join(WORK, 'node');
  copyFileSync(process.execPath, node);
  await strip(node);
  const output = join(WORK, 'cni-suite');
  const seaConfig = {
    useSnapshot: false,
    useCodeCache: true,
    disableExperimentalSEAWarning: true,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    // The environment's NODE_OPTIONS have no say.
    execArgvExtension: 'none',
    assets,
  };
  await sea.default(join(import.meta.dirname, 'loader.cjs'), {
    targets: [{ platform: 'linux', arch: process.arch, nodeRange: 'node26', output }],
    nodePath: node,
    seaConfig,
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
