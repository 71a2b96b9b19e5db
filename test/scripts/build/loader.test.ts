import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import test from 'ava';

const LOADER = new URL('../../../scripts/build/loader.cjs', import.meta.url);

/** Runs the loader over these bundles as the executable does, called by the name "cni-suite". @returns what they noted */
function load(bundles: Readonly<Record<string, string>>): string[] {
  const require = createRequire(import.meta.url);
  const notes: string[] = [];
  const assets = new Map(
    Object.entries(bundles).flatMap(([name, body]) => [
      [`${name}.cjs`, `(function (require, module) { ${body} })`],
      [`${name}.cache`, ''],
    ]),
  );
  const wanted = (id: string): unknown => {
    if (id === 'node:test-notes') return notes;
    if (id !== 'node:sea') return require(id);
    return { getRawAsset: (name: string) => bytesOf(assets.get(name) ?? '') };
  };
  const source = `(function (require, BUNDLE_OF, WHOLE) { ${readFileSync(LOADER, 'utf8')} })`;
  const run = new Script(source).runInThisContext() as (...args: unknown[]) => void;
  run(wanted, [], 'cni-suite');
  return notes;
}

const bytesOf = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer;

test('loader evaluates a library once, however often it is asked for', (t) => {
  const notes = load({
    'cni-suite': `const notes = require('node:test-notes');
      notes.push(require('library').value, require('library').value);`,
    library: `require('node:test-notes').push('evaluated'); module.exports = { value: 'export' };`,
  });
  t.deepEqual(notes, ['evaluated', 'export', 'export']);
});
