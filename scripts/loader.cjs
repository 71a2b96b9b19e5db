/**
 * What the executable runs first: loads the bundles that the build put into it, each with the bytecode of all its functions.
 * Node's own code cache holds only those that run at once; the others would be compiled one by one in every call.
 */
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');

/** The bundles are ASCII: one byte a character. */
function load(name) {
  const source = Buffer.from(getRawAsset(`${name}.cjs`)).latin1Slice();
  const cachedData = Buffer.from(getRawAsset(`${name}.cache`));
  const module = { exports: {} };
  new Script(source, { filename: `${name}.cjs`, cachedData }).runInThisContext()(
    (id) => (id === 'execa' ? load(id) : require(id)),
    module,
  );
  return module.exports;
}

load('cni-suite');
