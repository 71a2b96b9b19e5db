/** Calls through the whole program, as runtimes make them: one document on standard output, no more, and an end in time. */
import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { scaled } from '#test/limits.ts';
import { BIN, ownProgram } from '#test/node.ts';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { type Input, inputOf, onCleanNode, podOf } from './calls.ts';
import { requireCleanText, requireErrorDocument } from './clean.ts';
import { fuzzProperty, type FuzzProperty } from './property.ts';
import { OWN_FOLDER, tidy } from './world.ts';

/** As long as a runtime waits. */
const LIMIT_MS = scaled(120_000);

/** Runs a plugin's executable. @returns whether it succeeded. @throws Error if it did not answer as it should */
function execute(command: string, { plugin, env, input }: Input): boolean {
  // No variable can hold a zero byte.
  const possible = Object.entries(env).filter(([, value]) => value?.includes('\0') === false);
  const variables = possible.map(([name, value]) => [
    name,
    value === OWN_FOLDER ? (BIN ?? '') : value,
  ]);
  const [file = '', ...args] = ownProgram(plugin);
  const { status, signal, stdout, stderr } = spawnSync(file, args, {
    input,
    env: { ...Object.fromEntries(variables), PATH: process.env['PATH'], CNI_COMMAND: command },
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  });
  if (signal !== null) throw new Error(`It was ended by ${signal}`);
  requireCleanText(stderr);
  if (status === 1) requireErrorDocument(stdout);
  else if (status !== 0) throw new Error(`Status ${status}: ${stdout}${stderr}`);
  else if (stdout !== '') JSON.parse(stdout);
  return status === 0;
}

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'x'];

/** The packed executables, or the source: as the other tests have it. */
export const PROCESSES: readonly FuzzProperty[] = PLUGIN_NAMES.map((plugin): FuzzProperty =>
  fuzzProperty(
    `the executable ${plugin}`,
    1,
    fc.property(inputOf(plugin), fc.constantFrom(...COMMANDS), (input, command) => {
      onCleanNode(plugin, (requireSame, before) => {
        const isAdded = execute('ADD', input);
        if (!isAdded) requireSame('A failed ADD');
        execute(command, input);
        if (!execute('DEL', input) && isAdded)
          throw new Error('DEL failed after an ADD that succeeded');
        tidy(before, podOf(plugin));
        requireSame(`ADD, ${command} and DEL`);
      });
    }),
  ),
);
