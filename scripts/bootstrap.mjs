/**
 * The way in on a fresh clone: `node scripts/bootstrap.mjs demo …` installs the packages if need be and runs scripts/demo.ts
 * on the pinned Node. Plain JavaScript without packages: whatever Node the machine has must run it, from 20 on.
 */
import { spawn } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PINNED_NODE = join(ROOT, 'node_modules', '.bin', 'node');

/** The terminal sends them to the whole group, but `kill` only to this process: whom it runs must end either way. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** npm's own record of what is in node_modules. */
const INSTALLED = join(ROOT, 'node_modules', '.package-lock.json');

/** Warnings about Node's version are of no use: the packages run on the pinned one. */
const INSTALL = ['ci', '--loglevel=error'];

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Older than the lock file, or absent, the record tells of another state. */
const isInstalled = () => modified(INSTALLED) >= modified(join(ROOT, 'package-lock.json'));

/** npm must not run on the pinned Node that it is about to replace. */
function environmentForNpm() {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const path = folders.filter((folder) => !folder.endsWith(join('node_modules', '.bin')));
  return { ...process.env, PATH: path.join(delimiter) };
}

/** Runs a program with our standard streams. Resolves to its exit status, 128 + number for a signal, as shells say it. */
function run(file, args, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: 'inherit', env });
    for (const signal of SIGNALS) process.on(signal, (name) => child.kill(name));
    child.on('error', reject);
    child.on('close', (status, signal) => {
      for (const name of SIGNALS) process.removeAllListeners(name);
      resolve(status ?? 128 + constants.signals[signal]);
    });
  });
}

async function main([name, ...args]) {
  const script = join(ROOT, 'scripts', `${name}.ts`);
  if (name === undefined || !existsSync(script)) {
    console.error(`bootstrap: there is no scripts/${name ?? 'NAME'}.ts to run`);
    return 2;
  }
  if (!isInstalled()) {
    console.error('Installing the packages of package-lock.json');
    const status = await run('npm', INSTALL, environmentForNpm());
    if (status !== 0) return status;
    // npm leaves the record alone when there was nothing to do.
    utimesSync(INSTALLED, new Date(), new Date());
  }
  if (!existsSync(PINNED_NODE)) {
    const here = `${process.platform} ${process.arch}`;
    console.error(`bootstrap: the pinned Node exists for linux x64 and linux arm64, not ${here}`);
    return 1;
  }
  // The scripts look at the plugins, which use node:ffi: nothing that a newcomer need worry about.
  return run(PINNED_NODE, ['--disable-warning=ExperimentalWarning', script, ...args]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bootstrap: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
