/** CNI_ARGS: "K=V;K=V", an old way to ask for things. Keys are case-sensitive. */
import { AddressError } from '#lib/addr/address.ts';
import type { Mac } from '#lib/addr/mac.ts';
import type { Environment } from '#lib/sys/process.ts';
import { CniError, CODE } from './error.ts';
import { parseInterfaceMac } from './schema.ts';
import { shorten, shortenIn } from './shorten.ts';

/**
 * The values of the keys that the caller knows. Unknown ones are an error unless IgnoreUnknown is
 * true, as the reference plugins have it; Kubernetes' runtimes always send that.
 * @throws CniError INVALID_ENVIRONMENT
 */
export function parseArgs<K extends string>(
  text: string,
  known: readonly K[],
): Partial<Record<K, string>> {
  const pairs = new Map(text === '' ? [] : text.split(';').map(parsePair));
  const ignoreUnknown = parseBoolean(pairs.get('IgnoreUnknown'));
  pairs.delete('IgnoreUnknown');
  const unknown = [...pairs.keys()].filter((key) => !known.includes(key as K));
  if (unknown.length > 0 && !ignoreUnknown) {
    throw invalid(
      shorten(`ARGS: unknown args ["${unknown.join('" "')}"]`),
      '; "IgnoreUnknown=1" in front lets them pass',
    );
  }
  return Object.fromEntries(
    known.flatMap((key) => {
      const value = pairs.get(key);
      return value === undefined ? [] : [[key, value]];
    }),
  ) as Partial<Record<K, string>>;
}

/**
 * MAC in CNI_ARGS: the hardware address of the container's interface. @throws CniError
 * INVALID_ENVIRONMENT
 */
export function macArgument(env: Environment): Mac | undefined {
  const { MAC = '' } = parseArgs(env['CNI_ARGS'] ?? '', ['MAC']);
  if (MAC === '') return undefined;
  try {
    return parseInterfaceMac(MAC);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw invalid(`ARGS: MAC=${shortenIn(error.message, MAC)}`);
  }
}

function parsePair(pair: string): [string, string] {
  const [key = '', value, ...more] = pair.split('=');
  if (value === undefined) throw invalid(`ARGS: invalid pair "${shorten(pair)}"`);
  // A value is nobody's business but the plugin's: the key tells where to look.
  if (more.length > 0) throw invalid(`ARGS: invalid pair "${shorten(key)}=…"`);
  return [key, value];
}

function parseBoolean(text: string | undefined): boolean {
  const value = text?.toLowerCase() ?? 'false';
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw invalid(`ARGS: IgnoreUnknown must be true or false, not "${shorten(text ?? '')}"`);
}

const invalid = (message: string, advice = '') =>
  new CniError(
    CODE.INVALID_ENVIRONMENT,
    message,
    `from the environment variable CNI_ARGS${advice}`,
  );
