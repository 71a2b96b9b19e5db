/** How a script runs from its command line to its exit status; those that make network namespaces do their work in a world of their own. */
import { join } from 'node:path';
import { ensureBuilt } from './built.ts';
import { ScriptFailure } from './failure.ts';
import { enterWorld, runInWorld } from './namespaces.ts';
import { ROOT } from './paths.ts';
import { ensureTools, type Tool } from './tools.ts';

/** The first argument by which a script calls itself for the part inside; the last one is the machine's network namespace. */
const INSIDE = '--inside';

/** A script whose work is done in a world. */
export interface Script<Options> {
  /** The file scripts/NAME.ts, and what messages begin with. */
  readonly name: string;
  /** Commands without which it can't run. */
  readonly tools: readonly Tool[];
  /** Reads the command line. It runs twice: outside, so that a mistake is told at once, and inside. @throws ScriptFailure */
  readonly parse: (args: readonly string[]) => Options;
  /**
   * What is done on the machine, by root, once the tools are there. `enter` runs the inside in a new world and tells its exit status.
   * Default: the build, then the inside. @returns the exit status @throws ScriptFailure
   */
  readonly outside?: (options: Options, enter: () => Promise<number>) => Promise<number>;
  /** The work. @returns the exit status @throws ScriptFailure */
  readonly inside: (options: Options) => Promise<number>;
}

/** Runs a script with the arguments of this process, in a world. */
export const runScript = <Options>(script: Script<Options>): Promise<void> =>
  runMain(script.name, () => runOnEitherSide(script, process.argv.slice(2)));

/** Runs a program's main part and sets the exit status that it returns. A ScriptFailure becomes one line on standard error and status 1. */
export async function runMain(name: string, main: () => number | Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    // Anything else is a defect of the script's: Node shows where.
    if (!(error instanceof ScriptFailure)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

async function runOnEitherSide<Options>(
  { name, tools, parse, outside = buildAndEnter, inside }: Script<Options>,
  args: readonly string[],
): Promise<number> {
  if (args[0] === INSIDE) {
    enterWorld(args.at(-1) ?? '');
    return inside(parse(args.slice(1, -1)));
  }
  const options = parse(args);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new ScriptFailure('Run it as root on Linux: it makes network namespaces');
  }
  await ensureTools(tools);
  const file = join(ROOT, 'scripts', `${name}.ts`);
  return outside(options, () => runInWorld(file, [INSIDE, ...args]));
}

async function buildAndEnter(_: unknown, enter: () => Promise<number>): Promise<number> {
  await ensureBuilt();
  return enter();
}
