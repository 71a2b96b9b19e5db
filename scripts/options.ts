/** Options of the scripts' command lines. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { DemoFailure } from './demo/failure.ts';

/** The values of options. @throws DemoFailure for one that there is not */
export function readOptions<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    throw new DemoFailure(error instanceof Error ? error.message : String(error));
  }
}

/** A number from 0 on; undefined if the option was not given. @throws DemoFailure */
export function readNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new DemoFailure(`${option} wants a number, not "${text}"`);
}
