/** Versions of the CNI specification: which there are, and which is newer. */

/** Every version that the suite speaks, oldest first. */
export const SPEC_VERSIONS = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
] as const;

/** One of the versions that the suite speaks. */
export type SpecVersion = (typeof SPEC_VERSIONS)[number];

/** The newest version. */
export const NEWEST_VERSION: SpecVersion = '1.1.0';

/** The version of a configuration that names none. */
export const DEFAULT_VERSION: SpecVersion = '0.1.0';

/** Whether a text is exactly one of the versions: "1.0" is not "1.0.0". */
export const isSpecVersion = (text: string): text is SpecVersion =>
  (SPEC_VERSIONS as readonly string[]).includes(text);

/** Major, minor and micro number; missing ones are 0; undefined if the text is no version. */
function numbers(version: string): [number, number, number] | undefined {
  if (!/^[0-9]+(\.[0-9]+){0,2}$/.test(version)) return undefined;
  const [major = 0, minor = 0, micro = 0] = version.split('.').map(Number);
  return [major, minor, micro];
}

/** Negative, zero or positive by number; undefined if either text is no version. */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [numbers(a), numbers(b)];
  if (left === undefined || right === undefined) return undefined;
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** Whether a version is this one or newer; false for what is no version. */
export const isAtLeast = (version: string, least: SpecVersion): boolean =>
  (compareVersions(version, least) ?? -1) >= 0;
