/** What a guest does, as its first process: it sets up what a machine has, runs the tests, and switches itself off. */
import { realpathSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BIN_FOLDER, BUILT_BIN, ROOT } from '#scripts/world/paths.ts';
import type { Kernel } from './debian-kernel.ts';
import type { TestBundle } from './test-bundle.ts';

/** The guest sends the test's results through the port of this name. */
export const RESULTS_PORT = 'results';

/** The first line that the guest sends, and its last one. */
export const READY = '# guest ready';
export const ENDED = '# guest ended';

/** The packed executables: one file under many names. */
const EXECUTABLE = join(BUILT_BIN, 'cni-suite');

const NODE = realpathSync(process.execPath);

/** Large files, which the guest gets as drives, in this order: to read them through 9p takes many times as long. */
export const DRIVES: readonly string[] = [EXECUTABLE, NODE];

/** One file of tests may take this long; then the next ones still run. */
const FILE_LIMIT_S = 2_700;

/** An emulated processor is some twenty times slower; waits of the tests that have to run out should not take as long. */
const TIME_FACTOR = 5;

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TMPDIR: '/run/tests',
  CNI_TEST_BIN: BIN_FOLDER,
  NODE_ENV: 'test',
  CNI_TEST_TIME_FACTOR: String(TIME_FACTOR),
  NO_COLOR: '1',
};

/** The script for a kernel and files of tests. A file that ends badly, or not in time, is a failed test of its own. */
export function guestScript({ root, release }: Kernel, tests: readonly TestBundle[]): string {
  const names = readdirSync(BUILT_BIN).filter((name) => name !== basename(EXECUTABLE));
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
modprobe -a virtio_pci virtio_console virtio_blk
ip link set lo up

until [ -b /dev/vda ] && [ -b /dev/vdb ]; do sleep 0.1; done
mkdir /dev/shm/bin
${copyDrive('vda', EXECUTABLE, '/dev/shm/bin/cni-suite')}
cd /dev/shm/bin
for name in ${names.map(quote).join(' ')}; do ln cni-suite "$name"; done
mount --bind /dev/shm/bin ${quote(BUILT_BIN)}
${copyDrive('vdb', NODE, '/dev/shm/node')}
mount --bind /dev/shm/node ${quote(NODE)}

for port in /sys/class/virtio-ports/*; do
  if [ "$(cat "$port/name")" = ${RESULTS_PORT} ]; then exec 3> "/dev/\${port##*/}"; fi
done
echo "${READY} $(uname -r)" >&3
cd ${quote(ROOT)}
run() {
  timeout -k 10 ${FILE_LIMIT_S} ${quote(NODE)} --disable-warning=ExperimentalWarning "$2" "$1" >&3 ||
    echo "not ok 0 - $1: ended with status $?" >&3
}
${tests.map(({ name, path }) => `run ${quote(name)} ${quote(path)}`).join('\n')}
echo "${ENDED}" >&3
echo o > /proc/sysrq-trigger
# The kernel takes a moment to obey; without its first process it would panic.
sleep 60
`;
}

/** A drive ends at a whole sector, the file in it where it ends. */
const copyDrive = (drive: string, file: string, to: string): string =>
  `head -c ${statSync(file).size} /dev/${drive} > ${to}; chmod 755 ${to}`;

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
