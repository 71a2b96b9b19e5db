/** The result of the plugins before this one in a chain, as plugins use it. */
import type { Attachment } from './attachment.ts';
import { CniError, CODE } from './error.ts';
import type { Result, ResultIp } from './result.ts';

/**
 * The result that a chained plugin can't do without. `words` are those that users of the plugin
 * know. @throws CniError
 */
export function requirePrevResult(
  { prevResult }: { readonly prevResult: Result | undefined },
  words = 'must be called as chained plugin',
): Result {
  if (prevResult !== undefined) return prevResult;
  const details =
    'the configuration has no prevResult: an interface must have been made by another plugin or call';
  throw new CniError(CODE.INVALID_CONFIG, words, details);
}

/**
 * The addresses of a result that belong to an attachment's interface: those without an index belong
 * to it too.
 */
export function ownAddresses(result: Result, { ifName }: Pick<Attachment, 'ifName'>): ResultIp[] {
  return result.ips.filter(({ interface: index }) => {
    const owner = index === undefined ? undefined : result.interfaces[index];
    return owner === undefined || (owner.name === ifName && Boolean(owner.sandbox));
  });
}
