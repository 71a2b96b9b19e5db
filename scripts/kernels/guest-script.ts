/** What a guest does, as its first process: it sets up what a machine has, runs the tests, and switches itself off. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Kernel } from './debian-kernel.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** The guest sends the test's results through the port of this name. */
export const RESULTS_PORT = 'results';

/** The first line that the guest sends, and what its last one begins with: the tests' exit status follows. */
export const READY = '# guest ready';
export const ENDED = '# guest ended ';

/** An emulated processor is some twenty times slower; waits of the tests that have to run out should not take as long. */
const TIME_FACTOR = 5;

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TMPDIR: '/run/tests',
  CNI_TEST_BIN: 'dist/bin',
  CNI_TEST_TIME_FACTOR: String(TIME_FACTOR),
  // AVA would take the guest for a continuous integration server's if it saw its variables, and for a terminal's without this.
  NO_COLOR: '1',
};

/** The script for a kernel and files of tests, relative to the project's root. */
export function guestScript({ root, release }: Kernel, tests: readonly string[]): string {
  const node = realpathSync(process.execPath);
  const bin = join(ROOT, 'dist', 'bin');
  return `${Object.entries(ENVIRONMENT)
    .map(([name, value]) => `export ${name}=${quote(value)}`)
    .join('\n')}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/lock "$TMPDIR" /lib/modules/${release}
mount --bind ${quote(join(root, 'lib', 'modules', release))} /lib/modules/${release}
modprobe -a virtio_pci virtio_console
ip link set lo up

# To read them through 9p at each start would be slow.
cp -a ${quote(bin)} /dev/shm/bin
mount --bind /dev/shm/bin ${quote(bin)}
cp ${quote(node)} /dev/shm/node
mount --bind /dev/shm/node ${quote(node)}

for port in /sys/class/virtio-ports/*; do
  if [ "$(cat "$port/name")" = ${RESULTS_PORT} ]; then exec 3> "/dev/\${port##*/}"; fi
done
echo "${READY} $(uname -r)" >&3
cd ${quote(ROOT)}
${quote(node)} node_modules/ava/entrypoints/cli.js --tap --concurrency 1 ${tests.map(quote).join(' ')} >&3
echo "${ENDED}$?" >&3
echo o > /proc/sysrq-trigger
# The kernel takes a moment to obey; without its first process it would panic.
sleep 60
`;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
