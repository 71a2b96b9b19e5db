/** The plugin as a process: environment and standard input to standard output and exit status. */
import {
  environment,
  type Environment,
  log,
  readStdin,
  setExitStatus,
  writeStdout,
} from '#lib/sys/process.ts';
import { parseConfig } from './config.ts';
import { type CniError, toCniError } from './error.ts';
import { type AnyPlugin, type Builtins, invoke } from './plugin.ts';
import { isSpecVersion, NEWEST_VERSION } from './version.ts';

/** Far more than a runtime sends for a node full of pods. */
const INPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a plugin as the process that a runtime started; sets the exit status. `release` is the
 * suite's own version.
 */
export function servePlugin(plugin: AnyPlugin, builtins: Builtins, release: string): void {
  const env = environment();
  if (!env['CNI_COMMAND']) {
    log(`CNI ${plugin.name} plugin ${release}`);
    log(`CNI protocol versions supported: ${plugin.versions.join(', ')}`);
    return;
  }
  let input: Uint8Array = new Uint8Array();
  const readInput = () => (input = readStdin(INPUT_LIMIT_BYTES));
  try {
    invoke(plugin, { env, readInput, print: writeStdout, builtins, isDelegate: false });
  } catch (error) {
    report(toCniError(error), input, env);
  }
}

function report(error: CniError, input: Uint8Array, env: Environment): void {
  setExitStatus(1);
  try {
    writeStdout(error.toJson(versionOf(input)));
  } catch (unwritable) {
    // Nobody hears the error, or the result that could not be written: the log is what is left.
    log(`cni-suite: ${error.message}; ${toCniError(unwritable).message}`);
  }
  if (env['CNI_SUITE_DEBUG'])
    log(String(error.cause instanceof Error ? error.cause.stack : error.stack));
}

/** The version that the caller speaks, as far as its input can be read. */
function versionOf(input: Uint8Array): string {
  try {
    const { cniVersion } = parseConfig(input);
    return isSpecVersion(cniVersion) ? cniVersion : NEWEST_VERSION;
  } catch {
    // Unreadable input is what is being reported.
    return NEWEST_VERSION;
  }
}
