/** Another boot of a test's node, for one call at a time: the mount namespace in which it is told so goes with the call. */
import type { TestNode } from './node.ts';

/** A clock that runs on while the machine was off; /proc tells the boot in whole seconds. */
const LATER_S = 3600;

/** What a call is to be run through, so that it finds another boot id, a later time of boot, and an empty /run. */
export function anotherBoot(node: TestNode): string[] {
  const id = node.writeFile('boot_id', '00000000-1111-2222-3333-444444444444\n');
  const stat = node.writeFile('stat', `btime ${Math.floor(Date.now() / 1000) + LATER_S}\n`);
  const script = node.writeFile(
    'another-boot',
    `mount --bind ${id} /proc/sys/kernel/random/boot_id
mount --bind ${stat} /proc/stat
mount --bind ${node.folder} /mnt
mount -t tmpfs tmpfs /run
mkdir -p ${node.folder}
mount --bind /mnt ${node.folder}
exec "$@"
`,
  );
  return ['unshare', '--mount', 'sh', script];
}
