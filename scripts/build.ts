/**
 * Builds dist/bin: bundles of programs and libraries, and one executable with all of them, hard-linked under the name of each program.
 */
import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { COMMAND_NAMES, PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { type Assets, makeExecutable, V8_FLAGS } from './build/executable.ts';
import { BUILT_BIN, ROOT } from './world/paths.ts';

mkdirSync(join(ROOT, 'dist'), { recursive: true });
const WORK = mkdtempSync(join(ROOT, 'dist', 'work-'));
process.on('exit', () => rmSync(WORK, { recursive: true }));
const NAMES = [...PLUGIN_NAMES, ...COMMAND_NAMES, 'cni-suite'];

/** Libraries that most calls do not need, and whose evaluation takes longer than all of ours: bundles of their own. */
const LIBRARIES = ['execa', 'ip-address'];

/** Plugins that run each other in one process share a bundle; each of the others has one of its own. A call reads no other plugin's. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  attaching: ['flannel', 'bridge', 'ptp', 'host-local', 'static'],
};

/** Makes a bundle's bytecode, and checks that it will be taken: without it each call is twice as slow, and nothing else would tell. */
const COMPILER = join(import.meta.dirname, 'build', 'compile.cjs');

/** Everything: what is called by any other name than a plugin's. */
const WHOLE = 'cni-suite';

/** The table of programs, and the entry: each names programs of which a call needs one or a few. */
const PROGRAMS = join(ROOT, 'cmd', 'cni-suite', 'programs.ts');
const ENTRY = join(ROOT, 'cmd', 'cni-suite', 'main.ts');

/**
 * Replaces imports by getters that load a module when one of its exports is touched: imports of the libraries, and of programs by the
 * table and the entry. Of the programs only those that `isWanted` get into the bundle; what others export is undefined.
 */
const lazyModules = (isWanted: (path: string) => boolean): Plugin => ({
  name: 'lazy-modules',
  setup(bundler) {
    bundler.onResolve({ filter: new RegExp(`^(${LIBRARIES.join('|')})$`) }, ({ path, kind }) =>
      kind === 'require-call' ? { path, external: true } : { path, namespace: 'lazy' },
    );
    const programs = /^#(plugins|cmd)\/.*\/main\.ts$|^\.\/suite\.ts$/;
    bundler.onResolve({ filter: programs }, ({ path, importer }) => {
      if (importer !== PROGRAMS && importer !== ENTRY) return undefined;
      const namespace = isWanted(path) ? 'lazy' : 'absent';
      return { path: path.replace('./', '#cmd/cni-suite/'), namespace };
    });
    bundler.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => {
      const names = Object.keys((await import(path)) as object).map((name) => `'${name}'`);
      const getters = names.map((name) => `get ${name}() { return require('${path}')[${name}]; }`);
      return { contents: `module.exports = { ${getters.join(', ')} };`, resolveDir: ROOT };
    });
    bundler.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({
      contents: 'module.exports = {};',
    }));
  },
});

/** What build/loader.cjs calls a bundle with. */
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

const familyOf = (plugin: string): string =>
  Object.keys(FAMILIES).find((family) => FAMILIES[family]?.includes(plugin)) ?? plugin;

mkdirSync(BUILT_BIN, { recursive: true });
const bundles = [await bundleProgram(WHOLE, () => true)];
for (const family of new Set(PLUGIN_NAMES.map(familyOf))) {
  const members = new Set((FAMILIES[family] ?? [family]).map((name) => `#plugins/${name}/main.ts`));
  bundles.push(await bundleProgram(family, (path) => members.has(path)));
}
for (const library of LIBRARIES) {
  const contents = `export * from '${library}';`;
  bundles.push(await bundle(library, { stdin: { contents, resolveDir: ROOT } }));
}
await pack(Object.assign({}, ...bundles) as Assets);
const { size } = statSync(join(BUILT_BIN, 'cni-suite'));
console.log(
  `dist/bin: one file of ${Math.round(size / 1e6)} MB under the names ${NAMES.join(', ')}`,
);

async function bundleProgram(name: string, isWanted: (path: string) => boolean): Promise<Assets> {
  return bundle(name, { entryPoints: [ENTRY], plugins: [lazyModules(isWanted)] });
}

/** Makes one of the bundles, and compiles every function of it. */
async function bundle(name: string, options: BuildOptions): Promise<Assets> {
  const [code, cache] = [join(WORK, `${name}.cjs`), join(WORK, `${name}.cache`)];
  await build({ ...BUNDLE_OPTIONS, ...options, outfile: code });
  for (const task of ['make', 'check']) {
    await execa(process.execPath, [...V8_FLAGS, COMPILER, task, code, cache]);
  }
  return { [`${name}.cjs`]: code, [`${name}.cache`]: cache };
}

/** The loader and the bundles become one executable, under all its names. */
async function pack(assets: Assets): Promise<void> {
  const [loader, output] = [join(WORK, 'loader.cjs'), join(WORK, WHOLE)];
  const bundleOf = PLUGIN_NAMES.map((name) => [name, familyOf(name)]);
  await build({
    entryPoints: [join(import.meta.dirname, 'build', 'loader.cjs')],
    outfile: loader,
    define: { BUNDLE_OF: JSON.stringify(bundleOf), WHOLE: JSON.stringify(WHOLE) },
  });
  await makeExecutable(loader, assets, output);
  for (const name of NAMES) {
    // Whoever runs the last build's file goes on with it.
    linkSync(output, join(WORK, `new-${name}`));
    renameSync(join(WORK, `new-${name}`), join(BUILT_BIN, name));
  }
}
