/** The administrator's list of kernel parameters that configurations may set. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { sysError } from '#lib/sys/error.ts';
import { readText } from '#lib/sys/file.ts';
import { recover } from '#lib/sys/recover.ts';

/** One regular expression a line. */
const ALLOW_LIST = '/etc/cni/tuning/allowlist.conf';

/**
 * Refuses keys that the list does not allow. @throws CniError INVALID_CONFIG, SysError if the list
 * can't be read
 */
export function requireAllowed(keys: readonly string[]): void {
  if (keys.length === 0) return;
  const list = readAllowList();
  const refused = list && keys.find((key) => !isAllowed(list, key));
  if (refused === undefined) return;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `Sysctl ${refused} is not allowed. Only the following sysctls are allowed: [${list?.map(({ source }) => source).join(' ')}]`,
    `see "${ALLOW_LIST}"`,
  );
}

/**
 * The list; undefined if there is none: then everything is allowed. @throws CniError
 * INVALID_CONFIG, SysError
 */
export function readAllowList(): RegExp[] | undefined {
  // Only ENOENT means that there is none: a list that can't be read allows nothing.
  const text = recover(() => readText(ALLOW_LIST), sysError('ENOENT'));
  return text === undefined ? undefined : parseAllowList(text, ALLOW_LIST);
}

/**
 * The expressions of a list; empty lines are skipped. They are read strictly (Unicode mode): syntax
 * that Go knows and JavaScript does not, such as \A or [[:alpha:]], is refused, not taken for
 * something else.
 * @throws CniError INVALID_CONFIG with file and line
 */
export function parseAllowList(text: string, path: string): RegExp[] {
  return text.split('\n').flatMap((line, index) => {
    const source = line.trim();
    return source === '' ? [] : [compile(source, `"${path}", line ${index + 1}`)];
  });
}

/** Whether an expression matches anywhere in a key, as the configuration has it. */
export const isAllowed = (list: readonly RegExp[], key: string): boolean =>
  list.some((expression) => expression.test(key));

function compile(source: string, place: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CniError(CODE.INVALID_CONFIG, `Cannot read ${place}: ${reason}`, '', {
      cause: error,
    });
  }
}
