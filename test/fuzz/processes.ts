/** Calls through the whole program, as runtimes make them: one document on standard output, no more, and an end in time. */
import * as fc from 'fast-check';
import { callPluginSync } from '#scripts/world/plugin-call.ts';
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
function execute(command: string, { plugin, parameters, config }: Input): boolean {
  // No variable can hold a zero byte.
  const possible = Object.entries(parameters).filter(([, value]) => !value.includes('\0'));
  const { exitCode, stdout, stderr, problem } = callPluginSync({
    ...Object.fromEntries(possible),
    ...(parameters.path === OWN_FOLDER ? { path: BIN ?? '' } : {}),
    command,
    program: ownProgram(plugin),
    config,
    timeoutMs: LIMIT_MS,
  });
  if (exitCode === undefined) throw new Error(problem);
  requireCleanText(stderr);
  if (exitCode === 1) requireErrorDocument(stdout);
  else if (exitCode !== 0) throw new Error(`Status ${exitCode}: ${stdout}${stderr}`);
  else if (stdout !== '') JSON.parse(stdout);
  return exitCode === 0;
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
