/**
 * What the executable runs first: loads the bundle of the program that it was called as, with the bytecode of all its functions.
 * Node's own code cache holds only those that run at once; the others would be compiled one by one in every call.
 */
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');

/** Given by the build: which bundle a plugin is in, and the one for every other name. */
const bundleOf = new Map(BUNDLE_OF);
const name = process.argv0.slice(process.argv0.lastIndexOf('/') + 1);

/** What each bundle that was loaded exports. A getter asks anew each time one of its exports is touched. */
const loaded = new Map();

function load(bundle) {
  if (!loaded.has(bundle)) loaded.set(bundle, evaluate(bundle));
  return loaded.get(bundle);
}

/** The bundles are ASCII: one byte a character. */
function evaluate(bundle) {
  const source = Buffer.from(getRawAsset(`${bundle}.cjs`)).latin1Slice();
  const cachedData = Buffer.from(getRawAsset(`${bundle}.cache`));
  const module = { exports: {} };
  new Script(source, { filename: `${bundle}.cjs`, cachedData }).runInThisContext()(
    (id) => (id.startsWith('node:') ? require(id) : load(id)),
    module,
  );
  return module.exports;
}

load(bundleOf.get(name) ?? WHOLE);
