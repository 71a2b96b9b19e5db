/**
 * The first file system of a guest: busybox and the few modules that it takes to mount the host's root. It covers that with a file
 * system in memory, so that the guest may write everywhere and the host sees none of it, and goes on with the guest's script.
 */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import type { Kernel } from './debian-kernel.ts';

/** The host's root is offered to the guest under this tag. */
export const ROOT_TAG = 'host';

const BUSYBOX = '/bin/busybox';

/** What mounts the host's root; modprobe knows what these need. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];

/** 9p asks the host for so many bytes at a time; more is slower. */
const MESSAGE_BYTES = 262_144;

const INIT = `#!${BUSYBOX} sh
${BUSYBOX} mount -t proc proc /proc
for module in /modules/*; do ${BUSYBOX} insmod "$module"; done
${BUSYBOX} mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,ro,msize=${MESSAGE_BYTES} ${ROOT_TAG} /host
${BUSYBOX} mount -t tmpfs tmpfs /memory
${BUSYBOX} mkdir /memory/upper /memory/work
${BUSYBOX} mount -t overlay overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work /root
${BUSYBOX} cp /guest.sh /root/guest.sh
${BUSYBOX} umount /proc
exec ${BUSYBOX} switch_root /root /bin/sh /guest.sh
`;

/** Packs a kernel's first file system into a file in `folder`. @returns its path @throws ExecaError */
export async function packInitramfs(
  kernel: Kernel,
  guestScript: string,
  folder: string,
): Promise<string> {
  const tree = join(folder, 'initramfs');
  for (const name of ['bin', 'modules', 'proc', 'host', 'memory', 'root'])
    mkdirSync(join(tree, name), { recursive: true });
  copyFileSync(BUSYBOX, join(tree, BUSYBOX));
  writeFileSync(join(tree, 'init'), INIT, { mode: 0o755 });
  writeFileSync(join(tree, 'guest.sh'), guestScript);
  const modules = await listModules(kernel);
  for (const [index, file] of modules.entries())
    await addModule(file, join(tree, 'modules'), index);
  const archive = join(folder, 'initramfs.cpio');
  const pack = `find . | ${BUSYBOX} cpio --quiet -o -H newc > "$1"`;
  await execa('sh', ['-ec', pack, 'sh', archive], { cwd: tree });
  return archive;
}

/** Files of the modules, each after those that it needs. What is built into the kernel has none. */
async function listModules({ root, release }: Kernel): Promise<string[]> {
  const args = ['-d', root, '-S', release, '--show-depends', '--all', ...MODULES];
  const { stdout } = await execa('modprobe', args);
  const files = stdout.matchAll(/^insmod (\S+)/gm).map(([, file = '']) => file);
  return [...new Set(files)];
}

/** Puts a module where the init script finds it in its turn, unpacked: busybox can't. */
async function addModule(file: string, folder: string, index: number): Promise<void> {
  const name = `${String(index).padStart(3, '0')}-${basename(file, '.xz')}`;
  if (!file.endsWith('.xz')) {
    cpSync(file, join(folder, name));
    return;
  }
  const { stdout } = await execa('xz', ['-dc', file], { encoding: 'buffer' });
  writeFileSync(join(folder, name), stdout);
}
