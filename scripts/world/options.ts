/** Options of the scripts' command lines. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { ScriptFailure } from './failure.ts';

/** The values of options. @throws ScriptFailure for one that there is not */
export function readOptions<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    const names = Object.keys(options).map((name) => `--${name}`);
    throw new ScriptFailure(`${fault}; the options are ${names.join(', ')}`);
  }
}

/** A whole number from `least` on; undefined if the option was not given. @throws ScriptFailure */
export function readNumber(
  text: string | undefined,
  option: string,
  least = 0,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && Number(text) >= least) return Number(text);
  throw new ScriptFailure(`${option} wants a number from ${least} on, not "${text}"`);
}
