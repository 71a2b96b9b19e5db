/** Advisory locks between processes (flock), compatible with those that Go programs take on the same file. */
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

/** How often a held lock is tried again: often enough for a crowd of short holders, cheap enough for a long one. */
const RETRY_MS = 2;

/** And if it is held for long: hundreds that wait must not keep the holder from its work. */
const SLOWEST_MS = 25;

/** How long a lock is waited for: kubelet gives a whole ADD two minutes, and a holder needs milliseconds. */
const LOCK_LIMIT_MS = 30_000;

/**
 * Takes the exclusive lock of a file, which is made if missing (mode as given); `using` gives it back.
 * @throws LockTimeout after limitMs; SysError if the file cannot be opened, ELOOP if it is a symbolic link
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

/** The process that /proc/locks names as the holder of a file's lock, by number and name; empty where it can't be told. */
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

/** A device as /proc/locks has it: major and minor number, two hexadecimal digits at least (linux/kdev_t.h). */
function deviceName(device: bigint): string {
  const major = (device >> 8n) & 0xfffn;
  const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
  return [major, minor].map((number) => number.toString(16).padStart(2, '0')).join(':');
}

/**
 * Takes the exclusive lock of a file at once, or not at all; it is held until `using` ends, or without that until the process does.
 * @returns undefined if another process has it, or there is no such file. @throws SysError
 */
export function lockFileIfFree(path: string): Disposable | undefined {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  using undo = new DisposableStack();
  const file = ifAny(() => new FileDescriptor(openWithoutFollowing(path, flags)));
  if (file === undefined) return undefined;
  undo.use(file);
  return tryLock(file, path) ? undo.move() : undefined;
}

/** Takes the exclusive lock of an open file at once, or not at all. @throws SysError */
export function tryLock({ fd }: FileDescriptor, path: string): boolean {
  const lock = () => sysCall('flock', (c) => c.flock(fd, LOCK_EX | LOCK_NB), path);
  return succeeds(() => void lock(), sysError('EAGAIN'));
}
