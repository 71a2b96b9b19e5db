/** The mount namespace of this process. */
import { sysError } from './error.ts';
import { openFile, statIfAny } from './file.ts';
import { sysCall } from './libc.ts';
import { recover } from './recover.ts';

const OWN = '/proc/self/ns/mnt';
const FIRST = '/proc/1/ns/mnt';

/** linux/nsfs.h */
const NS_GET_MNTNS_ID = 0x8008b705n;

/**
 * A name of the mount namespace that no other one has until the next boot. The inode alone is no
 * such name: the kernel gives it out again. Before Linux 6.11 only the mount namespace of process 1
 * has a name, since it is there all the time; undefined for others. @throws SysError
 */
export function mountNamespaceId(): string | undefined {
  // Kernels before Linux 6.11 do not know the question.
  const unique = recover(uniqueId, sysError());
  if (unique !== undefined) return unique.toString();
  const own = statIfAny(OWN)?.id;
  // Not every process may look at process 1.
  const first = recover(() => statIfAny(FIRST)?.id, sysError());
  return own !== undefined && own === first ? own : undefined;
}

function uniqueId(): bigint {
  using file = openFile(OWN);
  const id = Buffer.alloc(8);
  sysCall('ioctl', (c) => c.ioctl(file.fd, NS_GET_MNTNS_ID, id));
  return id.readBigUInt64LE(0);
}
