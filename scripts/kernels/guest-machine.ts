/**
 * A guest: a kernel under qemu, emulated, so that it runs on any host. It sees the host's root folder, read-only, and has no network.
 * It ends with this process. Every wait for it has a limit.
 */
import { createWriteStream } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import type { Kernel } from './debian-kernel.ts';
import { DRIVES, ENDED, READY, RESULTS_PORT } from './guest-script.ts';
import { ROOT_TAG } from './initramfs.ts';
import { Watchdog } from './watchdog.ts';

const MEMORY = '4G';
const PROCESSORS = '2';

/** From the start until the guest's script is ready. */
const BOOT_LIMIT_MS = 300_000;

/** From one line of results to the next: the guest itself gives up sooner. */
const SILENCE_LIMIT_MS = 3_600_000;

/** From the guest's last line until qemu has ended. */
const END_LIMIT_MS = 60_000;

/** Last lines of the console that a fault shows. */
const TAIL_LINES = 40;

/** How a guest is booted. */
export interface GuestOptions {
  readonly kernel: Kernel;
  readonly hasIpv6: boolean;
  readonly initramfs: string;
  /** A folder for the socket that results come by. */
  readonly folder: string;
  /** A file that gets all that the guest writes to its console. */
  readonly console: string;
  /** All of it may take this long. */
  readonly limitMs: number;
}

/**
 * Boots a guest, and gives each line of its tests' output to `onLine`. Resolves when it has ended. @returns undefined when all tests had
 * their turn; else why not, with the end of the guest's console
 */
export async function runGuest(
  options: GuestOptions,
  onLine: (line: string) => void,
): Promise<string | undefined> {
  using watchdog = new Watchdog(options.limitMs);
  watchdog.wait(BOOT_LIMIT_MS, 'the tests have not begun');
  let hasEnded = false;
  const socket = join(options.folder, 'results');
  const server = listen(socket, (line) => {
    if (line === ENDED) {
      hasEnded = true;
      watchdog.wait(END_LIMIT_MS, 'it has not switched itself off');
      return;
    }
    watchdog.wait(SILENCE_LIMIT_MS, 'no further result has come');
    if (!line.startsWith(READY)) onLine(line);
  });
  try {
    const words = await runQemu(options, socket, watchdog);
    return hasEnded ? undefined : `${watchdog.reason ?? 'it ended before its tests did'}\n${words}`;
  } finally {
    server.close();
  }
}

/** Reads lines from whoever connects. */
function listen(socket: string, onLine: (line: string) => void): Server {
  const server = createServer((connection) => createInterface(connection).on('line', onLine));
  return server.listen(socket);
}

/** Runs qemu to its end, or until the watchdog ends it. @returns what it said, and the end of the guest's console */
async function runQemu(options: GuestOptions, socket: string, watchdog: Watchdog): Promise<string> {
  const tail: string[] = [];
  const qemu = execa('setpriv', commandLine(options, socket), {
    stdin: 'ignore',
    buffer: { stdout: false },
    reject: false,
    cancelSignal: watchdog.signal,
    killSignal: 'SIGKILL',
  });
  qemu.stdout.pipe(createWriteStream(options.console));
  createInterface(qemu.stdout).on('line', (line) => {
    tail.push(line.trimEnd());
    if (tail.length > TAIL_LINES) tail.shift();
  });
  const { stderr } = await qemu;
  return [stderr, ...tail].join('\n').trim();
}

/** qemu's command line, after that of setpriv: the guest ends with this process, whatever ends that. */
function commandLine({ kernel, hasIpv6, initramfs }: GuestOptions, socket: string): string[] {
  const parameters = [
    'console=ttyS0',
    'quiet',
    'panic=-1',
    // On a busy host the emulated timer is late at boot: the kernel would take it for broken and panic.
    'no_timer_check',
    ...(hasIpv6 ? [] : ['ipv6.disable=1']),
  ];
  const options = {
    accel: 'tcg,thread=multi',
    cpu: 'max',
    smp: PROCESSORS,
    m: MEMORY,
    display: 'none',
    serial: 'stdio',
    kernel: kernel.image,
    initrd: initramfs,
    append: parameters.join(' '),
    virtfs: `local,path=/,mount_tag=${ROOT_TAG},security_model=none,readonly=on,multidevs=remap`,
    chardev: `socket,id=results,path=${socket}`,
  };
  const devices = ['virtio-serial-pci', `virtserialport,chardev=results,name=${RESULTS_PORT}`];
  return [
    '--pdeathsig',
    'KILL',
    'qemu-system-x86_64',
    '-nodefaults',
    '-no-reboot',
    ...Object.entries(options).flatMap(([name, value]) => [`-${name}`, value]),
    ...devices.flatMap((device) => ['-device', device]),
    ...DRIVES.flatMap((file) => ['-drive', `file=${file},format=raw,if=virtio,readonly=on`]),
  ];
}
