/**
 * What the build runs for each bundle, with V8's flags of the executable. `make FILE BYTECODE` compiles every function of a file;
 * `check FILE BYTECODE`, in a process of its own as the executable will be, fails if V8 would not take that.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const { basename } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const [task, code, bytecode] = process.argv.slice(2);
const source = readFileSync(code, 'latin1');
const filename = basename(code);

if (task === 'make') {
  setFlagsFromString('--no-lazy');
  const script = new Script(source, { filename });
  // The bytecode says with which flags it was made, and V8 takes it with no others: those of the executable.
  setFlagsFromString('--lazy');
  writeFileSync(bytecode, script.createCachedData());
} else {
  const { cachedDataRejected } = new Script(source, {
    filename,
    cachedData: readFileSync(bytecode),
  });
  if (cachedDataRejected) throw new Error(`V8 does not take the bytecode of "${code}"`);
}
