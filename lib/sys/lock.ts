/**
 * Advisory locks between processes (flock), compatible with those that Go programs take on the same
 * file.
 */
import { constants } from 'node:fs';
import { poll } from './clock.ts';
import { sysError } from './error.ts';
import { FileDescriptor, ifAny, readTextIfAny, statFd } from './file.ts';
import { sysCall } from './libc.ts';
import { hurry } from './priority.ts';
import { succeeds } from './recover.ts';
import { openWithoutFollowing } from './state-file.ts';

/** A lock that somebody held for longer than we wait. */
export class LockTimeout extends Error {
  override name = 'LockTimeout';
  readonly path: string;

  constructor(path: string, limitMs: number, holder = '') {
    const now = holder === '' ? '' : `, now ${holder}`;
    super(
      `Cannot lock "${path}": other processes have held it for ${limitMs / 1000} seconds${now}`,
    );
    this.path = path;
  }
}

/** sys/file.h */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** How often a held lock is tried at first: many calls at once hold it for moments only. */
const RETRY_MS = 2;

/**
 * How often it is tried later: hundreds of calls that wait must not keep the holder from its work.
 */
const SLOWEST_MS = 25;

/**
 * How long a lock is waited for: kubelet gives a whole ADD two minutes, and a holder needs
 * milliseconds.
 */
const LOCK_LIMIT_MS = 30_000;

/**
 * Takes the exclusive lock of a file, which is made if missing (mode as given); `using` gives it
 * back.
 * @throws LockTimeout after limitMs; SysError if the file cannot be opened, ELOOP if it is a
 * symbolic link
 */
export function lockFile(path: string, mode: number, limitMs: number = LOCK_LIMIT_MS): Disposable {
  const flags = constants.O_CREAT | constants.O_RDONLY | constants.O_NONBLOCK;
  using undo = new DisposableStack();
  const file = undo.use(new FileDescriptor(openWithoutFollowing(path, flags, mode)));
  const locked = poll(() => tryLock(file, path) || undefined, {
    everyMs: RETRY_MS,
    slowestMs: SLOWEST_MS,
    limitMs,
  });
  if (locked === undefined) throw new LockTimeout(path, limitMs, holderOf(file));
  undo.use(hurry());
  return undo.move();
}

/**
 * The holder of a file's lock, by process number and name; empty if /proc/locks does not name it.
 */
function holderOf(file: FileDescriptor): string {
  const [device = '', inode = ''] = statFd(file).id.split(':');
  const lines = readTextIfAny('/proc/locks')?.split('\n') ?? [];
  const place = `${deviceName(BigInt(device))}:${inode} `;
  const line = lines.find((text) => text.includes('FLOCK') && text.includes(` ${place}`));
  const [, pid] = /(\d+) [0-9a-f]+:[0-9a-f]+:\d+ /.exec(line ?? '') ?? [];
  if (pid === undefined) return '';
  const name = readTextIfAny(`/proc/${pid}/comm`)?.trim();
  return name === undefined ? `process ${pid}` : `process ${pid} (${name})`;
}

/**
 * A device as /proc/locks writes it: major and minor number, two hexadecimal digits at least
 * (linux/kdev_t.h).
 */
function deviceName(device: bigint): string {
  const major = (device >> 8n) & 0xfffn;
  const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
  return [major, minor].map((number) => number.toString(16).padStart(2, '0')).join(':');
}

/**
 * Takes the exclusive lock of a file if it is free. Without `using` it is held until the process
 * ends.
 * @returns undefined if another process has the lock, or if there is no such file. @throws SysError
 */
export function lockFileIfFree(path: string): Disposable | undefined {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  using undo = new DisposableStack();
  const file = ifAny(() => new FileDescriptor(openWithoutFollowing(path, flags)));
  if (file === undefined) return undefined;
  undo.use(file);
  return tryLock(file, path) ? undo.move() : undefined;
}

/**
 * Takes the exclusive lock of an open file if it is free. @returns whether it was. @throws SysError
 */
export function tryLock({ fd }: FileDescriptor, path: string): boolean {
  const lock = () => sysCall('flock', (c) => c.flock(fd, LOCK_EX | LOCK_NB), path);
  return succeeds(() => void lock(), sysError('EAGAIN'));
}
