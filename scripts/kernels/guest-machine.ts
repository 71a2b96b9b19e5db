/**
 * A guest: a kernel under qemu, emulated, so that it runs on any host. It sees the host's root folder, read-only, and has no network.
 * It ends with this process. Every wait for it has a limit.
 */
import { createWriteStream, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import type { Kernel } from './debian-kernel.ts';
import { ENDED, READY, RESULTS_PORT } from './guest-script.ts';
import { ROOT_TAG } from './initramfs.ts';

const MEMORY = '4G';
const PROCESSORS = '2';

/** From the start until the guest's script says that it is ready. */
const BOOT_LIMIT_MS = 300_000;

/** From one line of results to the next: AVA gives up sooner. */
const SILENCE_LIMIT_MS = 1_800_000;

/** From the guest's last line until qemu has ended. */
const END_LIMIT_MS = 60_000;

/** Last lines of the console that a failure shows. */
const TAIL_LINES = 40;

/** How a guest is booted. */
export interface Boot {
  readonly kernel: Kernel;
  readonly hasIpv6: boolean;
  readonly initramfs: string;
  /** A folder for the socket that results come by. */
  readonly folder: string;
  /** A file that gets all that the guest writes to its console. */
  readonly console: string;
  /** The whole run may take this long. */
  readonly limitMs: number;
}

/** How a guest ended. */
export interface GuestEnd {
  /** Exit status of the tests; undefined if the guest did not get that far. */
  readonly status: number | undefined;
  /** Why it did not, with the end of its console. */
  readonly fault: string | undefined;
}

/** Boots a guest, and gives each line of its results to `onLine`. Resolves when it has ended. */
export async function runGuest(boot: Boot, onLine: (line: string) => void): Promise<GuestEnd> {
  const socket = join(boot.folder, 'results');
  const tail: string[] = [];
  let status: number | undefined;
  let reason = 'the guest ended before its tests did';
  const abort = new AbortController();
  const end = (why: string) => {
    reason = why;
    abort.abort();
  };
  const whole = setTimeout(end, boot.limitMs, `not done within ${seconds(boot.limitMs)}`);
  let wait = setTimeout(end, BOOT_LIMIT_MS, `not ready within ${seconds(BOOT_LIMIT_MS)}`);
  const await_ = (limitMs: number, what: string) => {
    clearTimeout(wait);
    wait = setTimeout(end, limitMs, `${what} for ${seconds(limitMs)}`);
  };
  const server = createServer((connection) => {
    createInterface(connection).on('line', (line) => {
      await_(SILENCE_LIMIT_MS, 'no result');
      if (line.startsWith(ENDED)) {
        status = Number(line.slice(ENDED.length));
        await_(END_LIMIT_MS, 'not switched off');
      } else if (!line.startsWith(READY)) onLine(line);
    });
  }).listen(socket);
  try {
    mkdirSync(dirname(boot.console), { recursive: true });
    const qemu = execa('setpriv', commandLine(boot, socket), {
      stdin: 'ignore',
      stderr: 'pipe',
      reject: false,
      cancelSignal: abort.signal,
      forceKillAfterDelay: false,
      killSignal: 'SIGKILL',
      buffer: { stdout: false },
    });
    qemu.stdout.pipe(createWriteStream(boot.console));
    createInterface(qemu.stdout).on('line', (line) => {
      tail.push(line.trimEnd());
      if (tail.length > TAIL_LINES) tail.shift();
    });
    const { stderr } = await qemu;
    const fault = `${reason}\n${[stderr, ...tail].join('\n').trim()}`;
    return { status, fault: status === undefined ? fault : undefined };
  } finally {
    clearTimeout(whole);
    clearTimeout(wait);
    server.close();
  }
}

/** qemu's command line, after that of setpriv: the guest ends with this process, whatever ends that. */
function commandLine({ kernel, hasIpv6, initramfs }: Boot, socket: string): string[] {
  const parameters = ['console=ttyS0', 'quiet', 'panic=-1', ...(hasIpv6 ? [] : ['ipv6.disable=1'])];
  const root = `local,path=/,mount_tag=${ROOT_TAG},security_model=none,readonly=on,multidevs=remap`;
  return [
    ...['--pdeathsig', 'KILL', 'qemu-system-x86_64'],
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', PROCESSORS, '-m', MEMORY],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', parameters.join(' ')],
    ...['-virtfs', root],
    ...['-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=results,path=${socket}`],
    ...['-device', `virtserialport,chardev=results,name=${RESULTS_PORT}`],
  ];
}

const seconds = (limitMs: number): string => `${limitMs / 1000} seconds`;
