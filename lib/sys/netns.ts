/** Network namespaces: opening them by path, and running a piece of synchronous code in one. */
import { sysError } from './error.ts';
import { type FileDescriptor, fileSystemMagic, ifAny, openFile, statFd } from './file.ts';
import { sysCall } from './libc.ts';
import { recover } from './recover.ts';
import { AF_UNIX, SOCK_DGRAM, Socket } from './socket.ts';

/** A file that is no network namespace, at the path of one. */
export class NotANamespace extends Error {
  override name = 'NotANamespace';
}

/** sched.h */
const CLONE_NEWNET = 0x40000000;

/** linux/magic.h: namespaces are files of nsfs, on old kernels of proc. */
const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;
const NAMESPACE_MAGIC = new Set([NSFS_MAGIC, PROC_SUPER_MAGIC]);

/** The namespace that this thread is in. */
const OWN = '/proc/thread-self/ns/net';

/** An open network namespace; `using` closes it. `id` tells whether two are the same. */
export class Netns implements Disposable {
  readonly path: string;
  readonly id: string;
  readonly #file: FileDescriptor;

  constructor(path: string, file: FileDescriptor) {
    this.path = path;
    this.id = statFd(file).id;
    this.#file = file;
  }

  get fd(): number {
    return this.#file.fd;
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/**
 * Whether the file at a path lies on a file system of namespaces. @throws SysError, ENOENT if it is
 * gone
 */
export const isNetns = (path: string): boolean => NAMESPACE_MAGIC.has(fileSystemMagic(path));

/**
 * Opens the network namespace at a path such as /run/netns/blue or /proc/1/ns/net.
 * @throws SysError, ENOENT if it is gone; NotANamespace if it is something else
 */
export function openNetns(path: string): Netns {
  if (!isNetns(path)) {
    const magic = fileSystemMagic(path).toString(16);
    throw new NotANamespace(`unknown FS magic on "${path}": ${magic}`);
  }
  using undo = new DisposableStack();
  const netns = new Netns(path, undo.use(openFile(path)));
  undo.move();
  return netns;
}

/**
 * Opens the namespace at a path; undefined when there is nothing: the pod is gone.
 * @throws SysError, NotANamespace
 */
export const openNetnsIfAny = (path: string): Netns | undefined => ifAny(() => openNetns(path));

/** The namespace that the program runs in. */
export function openOwnNetns(): Netns {
  return openNetns(OWN);
}

/**
 * Any type but a promise: while it is awaited, other code of this process would run in the foreign
 * namespace.
 */
type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/**
 * Runs synchronous code with the thread in another namespace; sockets opened there stay there.
 * Needs CAP_SYS_ADMIN.
 * @throws SysError from setns; whatever body throws
 */
export function within<T>(netns: Netns, body: () => T & Sync<T>): T {
  using home = openOwnNetns();
  enter(netns);
  try {
    return body();
  } finally {
    enter(home);
  }
}

function enter({ fd, path }: Netns): void {
  sysCall('setns', (c) => c.setns(fd, CLONE_NEWNET), path);
}

/**
 * A name of a namespace that no other one has until the next boot. The inode alone is no such name:
 * the kernel gives it out again. Before Linux 5.14 there is nothing better than the inode.
 * @throws SysError
 */
export function lifetimeId(netns: Netns): string {
  const cookie = within(netns, () => {
    using socket = new Socket(AF_UNIX, SOCK_DGRAM, 0);
    return recover(() => socket.getNetnsCookie(), sysError('ENOPROTOOPT'));
  });
  return cookie === undefined ? netns.id : `${netns.id}:${cookie}`;
}
