/**
 * The limits of the tests' own waits, scaled by one factor: CNI_TEST_TIME_FACTOR, 1 if it is not set. An emulated or busy machine
 * needs more time for all of them alike. Limits of the plugins are not scaled.
 */

const TIME_FACTOR = readFactor(process.env['CNI_TEST_TIME_FACTOR'] || '1');

/** A limit on this machine, in the unit of the one given, which holds for a machine that is not slowed down. */
export const scaled = (limit: number): number => limit * TIME_FACTOR;

function readFactor(text: string): number {
  const factor = Number(text);
  if (factor >= 1 && factor < Infinity) return factor;
  throw new Error(`CNI_TEST_TIME_FACTOR wants a number from 1 on, not "${text}"`);
}
