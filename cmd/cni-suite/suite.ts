/** cni-suite itself: tells what is in the executable, and installs it. */
import { CniError, CODE, toCniError } from '#lib/cni/error.ts';
import { NEWEST_VERSION, SPEC_VERSIONS } from '#lib/cni/version.ts';
import { environment, log, programName, setExitStatus, writeStdout } from '#lib/sys/process.ts';
import { install } from './install.ts';
import { COMMAND_NAMES, PLUGIN_NAMES } from './programs.ts';
import { RELEASE } from '#lib/sys/release.ts';

const USAGE = `cni-suite ${RELEASE}: CNI plugins in one executable

  cni-suite list                     the programs in it
  cni-suite version                  its version, and those of the CNI specification
  cni-suite install DIR [NAME…]      puts the plugins, or those named, into DIR (/opt/cni/bin)
  cni-suite NAME …                   runs a program, as if called by its name

A container runtime calls the plugins by their names; see https://www.cni.dev/docs/spec.
`;

/** Runs a command of cni-suite's; sets the exit status. */
export function runSuite(command: string, args: readonly string[]): void {
  try {
    if (command === 'list') writeStdout(`${[...PLUGIN_NAMES, ...COMMAND_NAMES].join('\n')}\n`);
    else if (['version', '--version'].includes(command))
      writeStdout(`cni-suite ${RELEASE}\nCNI ${SPEC_VERSIONS.join(', ')}\n`);
    else if (command === 'install') installPlugins(args);
    else if (['help', '--help', '-h'].includes(command)) writeStdout(USAGE);
    else refuse(command);
  } catch (error) {
    const { message, details } = toCniError(error);
    log(`cni-suite: ${message}${details === '' ? '' : ` (${details})`}`);
    setExitStatus(1);
  }
}

function installPlugins([folder, ...names]: readonly string[]): void {
  if (folder === undefined)
    throw new Error('install needs the folder to install into, such as /opt/cni/bin');
  const installed = install(folder, names);
  writeStdout(installed.map((path) => `${path}\n`).join(''));
}

function refuse(command: string): void {
  if (environment()['CNI_COMMAND']) {
    // A runtime is calling: whatever the name, it wants the specification's error.
    const error = new CniError(
      CODE.INTERNAL,
      `There is no plugin "${programName()}" in this executable`,
      `it has ${PLUGIN_NAMES.join(', ')}`,
    );
    writeStdout(error.toJson(NEWEST_VERSION));
    setExitStatus(1);
    return;
  }
  log(
    command === '' ? USAGE : `cni-suite: there is no program or command "${command}"\n\n${USAGE}`,
  );
  setExitStatus(2);
}
