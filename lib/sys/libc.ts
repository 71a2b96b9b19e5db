/**
 * The C library, and what Node brings of OpenSSL's: every signature that the plugins call, in one
 * table.
 */
import { SysError } from './error.ts';

/**
 * man 2 of each name, man 3ssl of SHA512; `buffer` is a pointer to bytes, i64 and u64 are bigint in
 * JavaScript.
 */
const SIGNATURES = {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'buffer'], return: 'i32' },
  send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  recv: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  setns: { arguments: ['i32', 'i32'], return: 'i32' },
  getrandom: { arguments: ['buffer', 'u64', 'u32'], return: 'i64' },
  flock: { arguments: ['i32', 'i32'], return: 'i32' },
  ioctl: { arguments: ['i32', 'u64', 'buffer'], return: 'i32' },
  _exit: { arguments: ['i32'], return: 'void' },
  SHA512: { arguments: ['buffer', 'u64', 'buffer'], return: 'pointer' },
} as const;

/** The functions, and how to read what went wrong. */
interface Library {
  readonly functions: ReturnType<typeof load>;
  readonly errno: () => number;
}
type Functions = Library['functions'];

/** Loaded when it is needed: not by VERSION, nor by calls that read only files. */
const ffi = () => process.getBuiltinModule('node:ffi');

const load = () => ({
  ...ffi().dlopen(null, {
    ...SIGNATURES,
    __errno_location: { arguments: [], return: 'pointer' },
  } as const).functions,
});

let loaded: Library | undefined;

/** The functions, resolved in the running process at the first call. */
function library(): Library {
  if (loaded === undefined) {
    const functions = load();
    const { getInt32 } = ffi();
    const place = functions.__errno_location();
    loaded = { functions, errno: () => getInt32(place, 0) };
  }
  return loaded;
}

/**
 * Ends the process with nothing more done, if the library is there: to load it would take longer
 * than what is left undone.
 */
export function exitIfLoaded(status: number): void {
  loaded?.functions._exit(status);
}

/** How often a call that a signal interrupted is started again. */
const EINTR_LIMIT = 100;

/**
 * Calls a function of libc's that answers -1 on failure, again after EINTR. `call` names it for the
 * error: `sysCall('flock', (c) => c.flock(fd, LOCK_EX))`.
 * @throws SysError with the errno
 */
export function sysCall<R extends number | bigint>(
  syscall: string,
  call: (functions: Functions) => R,
  path?: string,
): R {
  const { functions, errno } = library();
  for (let tries = 0; ; tries += 1) {
    const result = call(functions);
    if (Number(result) !== -1) return result;
    const code = errno();
    if (code !== EINTR || tries >= EINTR_LIMIT) throw SysError.fromErrno(syscall, code, path);
  }
}

/** asm-generic/errno-base.h */
const EINTR = 4;
