/** What a property is to those who run it: AVA for a moment, `npm run fuzz` for as long as one likes. */
import * as fc from 'fast-check';

/** A property by its name. `runs`: how many of them a short run makes. */
export interface FuzzProperty {
  readonly name: string;
  readonly runs: number;
  readonly check: (parameters: fc.Parameters<unknown>) => fc.RunDetails<unknown>;
}

/** Makes one; what its examples are is between it and its predicate. */
export const fuzzProperty = <T>(
  name: string,
  runs: number,
  property: fc.IProperty<T>,
): FuzzProperty => ({
  name,
  runs,
  check: (parameters) => fc.check(property as fc.IProperty<unknown>, parameters),
});

/** More than a reader looks at. */
const SHOWN_LIMIT = 3_000;

/** What was found, for people: how to see it again, the smallest example, what was wrong with it. */
export function describeFailure(name: string, details: fc.RunDetails<unknown>): string {
  const { seed, counterexamplePath, numRuns, errorInstance } = details;
  const error = errorInstance instanceof Error ? errorInstance : new Error(String(errorInstance));
  const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : '';
  return [
    `${name}: wrong after ${numRuns} runs (seed ${seed}, path ${counterexamplePath})`,
    `with ${shown(details.counterexample)}`,
    `${error.stack}${cause}`,
  ].join('\n');
}

/** Bytes as the text that they were made of: JSON.stringify meets them as the list that Buffer makes of itself. */
function readable(_: string, value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown };
  if (type === 'Buffer' && Array.isArray(data)) return Buffer.from(data).toString('latin1');
  return value;
}

function shown(example: unknown): string {
  const text = JSON.stringify(example, readable) ?? '';
  return text.length > SHOWN_LIMIT
    ? `${text.slice(0, SHOWN_LIMIT)}… (${text.length} characters)`
    : text;
}
