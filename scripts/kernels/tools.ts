/** What it takes to boot a guest. */
import { ensureTools, NotPrepared } from '../prepare.ts';

/** Commands, and the Debian packages that have them. */
const TOOLS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  setpriv: 'util-linux',
  depmod: 'kmod',
  modprobe: 'kmod',
  xz: 'xz-utils',
  'dpkg-deb': 'dpkg',
  '/bin/busybox': 'busybox-static',
};

/** Sees to it that guests can be booted. @throws NotPrepared that says why not */
export async function ensureGuestTools(): Promise<void> {
  // The guest runs the host's own programs, on an emulated processor of the host's kind.
  if (process.arch !== 'x64')
    throw new NotPrepared(`Guests are booted on x64, not ${process.arch}`);
  await ensureTools(TOOLS);
}
