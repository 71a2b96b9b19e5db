/** Whole calls, on the node of world.ts: each is answered as it should be, a failed one changes nothing, DEL takes back what ADD made. */
import { writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { findPlugin } from '#cmd/cni-suite/programs.ts';
import { toCniError } from '#lib/cni/error.ts';
import { invoke } from '#lib/cni/plugin.ts';
import { type Parameters, toVariables } from '#scripts/world/plugin-call.ts';
import { requireForeseen } from './clean.ts';
import { CHAINED_POD, configs, POD } from './configs.ts';
import { fuzzProperty, type FuzzProperty } from './property.ts';
import { hostileDocument, hostileText } from './values.ts';
import { CURRENT, differences, FOLDER, rebuild, snapshot, OWN_FOLDER, tidy } from './world.ts';

/** A call of a plugin of ours, without its command. */
export interface Input {
  readonly plugin: string;
  readonly parameters: Omit<Parameters, 'command' | 'env'>;
  readonly config: Uint8Array;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Plugins that go on from another one's result. */
const CHAINED = new Set(['portmap', 'bandwidth', 'firewall', 'tuning']);

/** A variable that is mostly right. */
const mostly = (value: string): fc.Arbitrary<string> =>
  fc.oneof({ weight: 25, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: hostileText });

const parametersOf = (plugin: string): fc.Arbitrary<Input['parameters']> =>
  fc.record({
    containerID: mostly('cid1'),
    netns: mostly(podOf(plugin)),
    ifName: mostly('eth0'),
    args: fc.oneof(
      { weight: 8, arbitrary: fc.constant('') },
      { weight: 1, arbitrary: hostileText },
    ),
    path: fc.constantFrom(OWN_FOLDER, OWN_FOLDER, OWN_FOLDER, '', '/nowhere'),
  });

/** Any call of a plugin. */
export const inputOf = (plugin: string): fc.Arbitrary<Input> => {
  const examples = configs(FOLDER)[plugin] ?? [];
  return fc.record({
    plugin: fc.constant(plugin),
    parameters: parametersOf(plugin),
    config: fc.oneof(...examples.map((example) => hostileDocument(example))),
  });
};

/** What came of a call: what it printed, or the code that it failed with. */
type Outcome = { readonly stdout: string } | { readonly code: number; readonly error: string };

/** Makes a call in this process. @throws Error if it fails in a way that nobody has foreseen */
export function call(command: string, { plugin, parameters, config }: Input): Outcome {
  const found = findPlugin(plugin);
  if (found === undefined) throw new Error(`There is no plugin ${plugin}`);
  writeFileSync(CURRENT, JSON.stringify({ command, plugin, parameters, config: text(config) }));
  try {
    let stdout = '';
    invoke(found, {
      env: toVariables({ ...parameters, command }),
      readInput: () => config,
      print: (answer) => void (stdout = answer),
      builtins: findPlugin,
      isDelegate: false,
    });
    return { stdout };
  } catch (error) {
    requireForeseen(error);
    const { code, message, details } = toCniError(error);
    return { code, error: `${message} | ${details}` };
  }
}

/** The same; it has to succeed. */
export function succeed(command: string, input: Input): string {
  const outcome = call(command, input);
  if ('stdout' in outcome) return outcome.stdout;
  throw new Error(`${command} failed with code ${outcome.code}: ${outcome.error}`);
}

/** The pod that calls of a plugin are about. */
export const podOf = (plugin: string): string => (CHAINED.has(plugin) ? CHAINED_POD : POD);

/** What the node was like at first, as calls for a pod see it; empty: it has to be built anew. */
let known = new Map<string, readonly string[]>();

/** Lets the next run begin on a node that was built anew. */
export function startAnew(): void {
  known = new Map();
}

/** Begins a run on a node that is as it was at first. @returns what says whether it is so still. */
export function onCleanNode(
  plugin: string,
  body: (requireSame: (after: string) => void, before: readonly string[]) => void,
): void {
  if (known.size === 0) {
    rebuild();
    known = new Map([POD, CHAINED_POD].map((pod) => [pod, snapshot(pod)]));
  }
  const pod = podOf(plugin);
  const before = known.get(pod) ?? [];
  try {
    body((after) => {
      const found = differences(before, snapshot(pod));
      if (found !== '') throw new Error(`${after} changed the node:\n${found}`);
    }, before);
  } catch (error) {
    startAnew();
    throw error;
  }
}

/** The call again, with what it resulted in. */
function withResult(input: Input, stdout: string): Input {
  const config = JSON.parse(text(input.config)) as object;
  const json = JSON.stringify({ ...config, prevResult: JSON.parse(stdout) });
  return { ...input, config: Buffer.from(json) };
}

const COMMANDS = ['CHECK', 'GC', 'STATUS', 'VERSION', 'DEL', 'frob', ''];

const lives = Object.keys(configs(FOLDER)).map((plugin): FuzzProperty =>
  fuzzProperty(
    `calls of ${plugin}`,
    5,
    fc.property(inputOf(plugin), fc.constantFrom(...COMMANDS), (input, other) => {
      onCleanNode(plugin, (requireSame, before) => {
        call(other, input);
        const added = call('ADD', input);
        if (!('stdout' in added)) {
          requireSame(`${other}, and an ADD that failed,`);
          return;
        }
        call('CHECK', withResult(input, added.stdout));
        succeed('DEL', input);
        succeed('DEL', input);
        tidy(before, podOf(plugin));
        requireSame(`${other}, ADD, CHECK and DEL`);
      });
    }),
  ),
);

/** All calls that are made in this process. */
export const CALLS: readonly FuzzProperty[] = lives;
