/** Failed system calls as errors. */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import type { Expected } from './recover.ts';

/** A system call that failed. `code` is the errno's name, such as ENOENT. */
export class SysError extends Error {
  override name = 'SysError';
  readonly syscall: string;
  readonly code: string;
  readonly path: string | undefined;

  constructor(syscall: string, code: string, options: { path?: string; reason: string }) {
    super(`${syscall}${options.path === undefined ? '' : ` ${options.path}`}: ${options.reason}`);
    this.syscall = syscall;
    this.code = code;
    this.path = options.path;
  }

  /** From a positive errno, in the words that strerror uses. */
  static fromErrno(syscall: string, errno: number, path?: string): SysError {
    return new SysError(syscall, errnoName(errno), {
      reason: errnoMessage(errno),
      ...(path === undefined ? {} : { path }),
    });
  }
}

/**
 * The name of a positive errno, such as EPERM. Those that libuv has no name for come as "errno N".
 */
export function errnoName(errno: number): string {
  const name = getSystemErrorName(-errno);
  return name.startsWith('E') ? name : `errno ${errno}`;
}

/** strerror's words where libuv's differ: other programs print them, and people search for them. */
const STRERROR: Readonly<Record<string, string>> = {
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EOPNOTSUPP: 'operation not supported',
  ENOTSUP: 'operation not supported',
  ERANGE: 'numerical result out of range',
  EXDEV: 'invalid cross-device link',
};

/** strerror's words for a positive errno, in lower case. */
export function errnoMessage(errno: number): string {
  return STRERROR[errnoName(errno)] ?? getSystemErrorMessage(-errno);
}

/** Whether an error is a failed system call with one of these errno names. */
export function isSysError(error: unknown, ...codes: string[]): error is SysError {
  return error instanceof SysError && (codes.length === 0 || codes.includes(error.code));
}

/** Expects failed system calls with one of these errno names, without names any: for recover(). */
export const sysError =
  (...codes: string[]): Expected<SysError> =>
  (error): error is SysError =>
    isSysError(error, ...codes);

/** Runs a node:fs call; its errors come out as SysError, with this path if they name none. */
export function sys<T>(body: () => T, path?: string): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && 'errno' in error) {
      const {
        syscall,
        errno,
        path: from = path,
        dest,
      } = error as NodeJS.ErrnoException & { dest?: string };
      const place = dest === undefined ? from : `${from} -> ${dest}`;
      throw SysError.fromErrno(String(syscall), Math.abs(Number(errno)), place);
    }
    // Node itself refuses a path with a zero byte in it: for the kernel the path would end there.
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_ARG_VALUE') {
      const place = path === undefined ? {} : { path };
      throw new SysError('open', 'EINVAL', { ...place, reason: 'the path has a zero byte in it' });
    }
    throw error;
  }
}
