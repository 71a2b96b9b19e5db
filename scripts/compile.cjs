/** What the build runs for each bundle, with V8's flags of the executable: compiles every function of a file, and writes the bytecode to another. */
const { readFileSync, writeFileSync } = require('node:fs');
const { basename } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const [code, bytecode] = process.argv.slice(2);
setFlagsFromString('--no-lazy');
const script = new Script(readFileSync(code, 'latin1'), { filename: basename(code) });
// V8 takes no bytecode that was made with other flags than it runs with, and it runs with the default.
setFlagsFromString('--lazy');
writeFileSync(bytecode, script.createCachedData());
