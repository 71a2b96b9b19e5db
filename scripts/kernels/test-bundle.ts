/** Files of tests as guests run them: bundled with all that they import, since a guest takes long to find and load many modules. */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { ROOT } from '#scripts/world/paths.ts';

const SUFFIX = '.test.ts';
const RUNNER = join(import.meta.dirname, 'guest-runner.ts');

/** Below node_modules' parent, where bundles find what is left out of them. */
const FOLDER = join(ROOT, 'dist', 'kernels', 'tests');

/** Programs and addons that can't be bundled, and what finds its files by its own place. */
const LEFT_OUT = ['esbuild', '@yao-pkg/pkg', '@grpc/proto-loader', '@stryker-mutator/*'];

/** A file of tests, and its bundle. */
export interface TestBundle {
  /** As it is named to people: "root/bridge". */
  readonly name: string;
  readonly path: string;
}

/** Bundles the files of tests that are named, or lie in folders that are. Paths are relative to the project's root. */
export async function bundleTests(paths: readonly string[]): Promise<TestBundle[]> {
  const files = paths.flatMap(listTests);
  rmSync(FOLDER, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: files,
    outdir: FOLDER,
    outbase: 'test',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    external: LEFT_OUT,
    // CommonJS in the bundle asks for Node's modules in its own way.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: [avaPlugin, placePlugin],
    logLevel: 'error',
  });
  return files.map((file) => {
    const name = relative('test', file).slice(0, -SUFFIX.length);
    return { name, path: join(FOLDER, `${name}.test.mjs`) };
  });
}

function listTests(path: string): string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => join(path, name))
    .toSorted();
}

/** Puts our runner in AVA's place, and lets it import what AVA does not export. */
const avaPlugin: Plugin = {
  name: 'ava',
  setup(builder) {
    builder.onResolve({ filter: /^ava$/ }, () => ({ path: RUNNER }));
    builder.onResolve({ filter: /^ava\/lib\// }, ({ path }) => ({
      path: join(ROOT, 'node_modules', path),
    }));
  },
};

/** A module of ours keeps its place when it is in a bundle somewhere else. */
const placePlugin: Plugin = {
  name: 'place',
  setup(builder) {
    builder.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const place = { dirname: dirname(path), filename: path, url: pathToFileURL(path).href };
      const contents = Object.entries(place).reduce(
        (text, [key, value]) => text.replaceAll(`import.meta.${key}`, JSON.stringify(value)),
        readFileSync(path, 'utf8'),
      );
      return { contents, loader: 'ts' };
    });
  },
};
