/** containerd: its configuration, its life and its death. */
import { setTimeout } from 'node:timers/promises';
import { scaled } from '#test/limits.ts';
import { Cri } from './cri.ts';
import { IMAGE } from './image.ts';
import { CONFIGURATIONS, type Machine, PLUGINS } from './machine.ts';

const SOCKET = '/run/containerd/containerd.sock';
const CONFIG = '/run/containerd.toml';
const PID = '/run/containerd.pid';
const LOG = '/run/containerd.log';

/** Far more than it takes to get ready; the tries are what ends it. */
const READY_TRIES = scaled(600);
const READY_PAUSE_MS = 100;

/** Lines of its log that a failure shows. */
const TAIL_LINES = 30;

const TOML = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# Kinds of file systems that are asked for at each start, and never used here.
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "${SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  disable_apparmor = true
  # Lowering a score below one's own needs CAP_SYS_RESOURCE, which a machine in a container may lack.
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "${PLUGINS}"
  conf_dir = "${CONFIGURATIONS}"
`;

/** A containerd on a machine, which it may leave only with that. */
export class Containerd implements Disposable {
  readonly cri: Cri;
  readonly #machine: Machine;
  #process: PromiseLike<unknown> | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.write(CONFIG, TOML);
    this.cri = new Cri(`${machine.root}${SOCKET}`);
  }

  /** Starts it. Resolves when runtime and network are ready. @throws Error with the end of its log */
  async start(): Promise<void> {
    const command = `echo $$ > ${PID}; exec containerd --config ${CONFIG} >> ${LOG} 2>&1`;
    this.#process = this.#machine.start('sh', '-c', command);
    await this.#until('ready', async () => {
      const { status } = await this.cri.call('Status', {});
      const fault = status.conditions.find((condition) => !condition.status);
      return fault === undefined ? '' : `${fault.type}: ${fault.message}`;
    });
  }

  /** Brings an image in. */
  async importImage(archive: string): Promise<void> {
    await this.#machine.run('ctr', '-a', SOCKET, '-n', 'k8s.io', 'images', 'import', archive);
    // The runtime part learns of it by an event.
    await this.#until(`listing ${IMAGE}`, async () => {
      const { images } = await this.cri.call('ListImages', {});
      return images.some(({ repoTags }) => repoTags.includes(IMAGE)) ? '' : 'not listed';
    });
  }

  /** Kills it as the kernel does for want of memory; pods and shims live on. */
  async kill(): Promise<void> {
    await this.#machine.run('kill', '-9', this.#machine.read(PID).trim());
    await this.#process;
  }

  /** The end of its log. */
  log(): string {
    return this.#machine.read(LOG).trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  }

  /** Asks until the answer is no fault. */
  async #until(what: string, fault: () => Promise<string>): Promise<void> {
    let seen = '';
    for (let tries = 0; tries < READY_TRIES; tries += 1) {
      seen = await fault().catch(String);
      if (seen === '') return;
      await setTimeout(READY_PAUSE_MS);
    }
    throw new Error(`containerd is not ${what}: ${seen}\n${this.log()}`);
  }

  [Symbol.dispose](): void {
    this.cri[Symbol.dispose]();
  }
}
