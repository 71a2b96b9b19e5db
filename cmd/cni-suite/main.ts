/**
 * The executable's entry: runs the program whose name it was called by, or as cni-suite the one
 * named first.
 */
import { servePlugin } from '#lib/cni/serve.ts';
import { endProcess, programArguments, programName } from '#lib/sys/process.ts';
import { findCommand, findPlugin } from './programs.ts';
import { RELEASE } from '#lib/sys/release.ts';
import { runSuite } from './suite.ts';

/** @returns whether there is a program of this name */
function run(name: string, args: readonly string[]): boolean {
  const plugin = findPlugin(name);
  if (plugin !== undefined) {
    servePlugin(plugin, findPlugin, RELEASE);
    endProcess();
  }
  const command = findCommand(name);
  command?.(args, findPlugin);
  return command !== undefined;
}

const args = programArguments();
if (!run(programName(), args)) {
  const [name = '', ...rest] = args;
  if (!run(name, rest)) runSuite(name, rest);
}
