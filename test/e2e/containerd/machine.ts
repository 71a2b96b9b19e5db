/**
 * A node with processes and files of its own: beside the network namespace of TestNode, a mount and a PID namespace, so that
 * the runtime finds the usual paths empty and all that it starts, shims included, ends with the first process. A LAN leads to
 * a second machine, which knows nothing of pods.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { inNetns } from '#scripts/world/command.ts';
import { BIN, ownProgram, TestNode } from '#test/node.ts';

/** The node's address on the LAN and that of the machine outside (RFC 5737: nobody's real ones). */
export const NODE_ADDRESS = '192.0.2.1';
export const OUTSIDE_ADDRESS = '192.0.2.100';

/** Where the runtime finds the plugins and the network configuration. */
export const PLUGINS = '/run/cni/bin';
export const CONFIGURATIONS = '/run/cni/net.d';

const CGROUPS = '/sys/fs/cgroup';

/**
 * What the first process does: it says its own number as the parent sees it, covers the paths that runtime and plugins write
 * to, and then waits for the orphans that the runtime leaves to it. $1: folder of the plugins, which it stands in, as the path
 * may be among the covered ones.
 */
const INIT = `set -e
cd "$1"
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
mkdir -p /run
mount -t tmpfs tmpfs /run
mkdir -p ${PLUGINS} ${CONFIGURATIONS} /run/flannel
mount --no-canonicalize --bind . ${PLUGINS}
mount -t tmpfs tmpfs /var/lib
echo "$pid"
sleep 2147483647 & wait`;

/** A node; `await using` ends its processes and takes it away. */
export class Machine implements AsyncDisposable {
  readonly node: TestNode;
  /** The path of the outside machine's network namespace. */
  readonly outside: string;
  /** The node's root folder, as this process can reach it. */
  readonly root: string;
  /** Parent of all containers' control groups. */
  readonly cgroup: string;
  /** Ends after the node's first process. */
  readonly #unshare: PromiseLike<unknown>;
  readonly #pid: string;
  readonly #enter: readonly string[];

  private constructor(node: TestNode, outside: string, unshare: PromiseLike<unknown>, pid: string) {
    this.node = node;
    this.outside = outside;
    this.#unshare = unshare;
    this.#pid = pid;
    this.root = `/proc/${pid}/root`;
    this.cgroup = `/${node.name}`;
    this.#enter = ['--target', pid, '--net', '--mount', '--pid', '--'];
  }

  /** Makes it. @throws Error without the rights to */
  static async create(): Promise<Machine> {
    const node = await TestNode.create();
    try {
      const outside = await node.addPod('outside');
      await layLan(node, outside);
      // The node ends with this process, whatever ends that.
      const mortal = ['setpriv', '--pdeathsig', 'KILL'] as const;
      const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
      const program = ['sh', '-c', INIT, 'init', pluginFolder(node)];
      const [file, ...args] = [...mortal, ...unshare, ...program];
      const init = execa(...inNetns(node.netns, file, ...args), { reject: false });
      const { done, value: pid } = await init.iterable().next();
      if (done) throw new Error(`The node's first process failed: ${(await init).stderr}`);
      return new Machine(node, outside, init, pid);
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes a file of the node's. */
  write(path: string, content: string): void {
    writeFileSync(join(this.root, path), content);
  }

  /** Text of a file of the node's. */
  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** The files below a folder of the node's, relative to it; of a folder that is not there, none. */
  files(folder: string): string[] {
    const path = join(this.root, folder);
    if (!existsSync(path)) return [];
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
      .toSorted();
  }

  /** The path, for this process, of a network namespace on the node: /var/run is a link, and would lead out of it. */
  netns(path: string): string {
    return join(this.root, path.replace(/^\/var\/run\//, '/run/'));
  }

  /** The names of the node's processes. */
  processes(): string[] {
    return readdirSync(join(this.root, '/proc'))
      .filter((name) => /^[0-9]+$/.test(name))
      .map((pid) => this.#nameOf(pid));
  }

  #nameOf(pid: string): string {
    try {
      return this.read(`/proc/${pid}/comm`).trim();
    } catch {
      // It has just ended.
      return '';
    }
  }

  /** Starts a program on the node, with no more in its environment than a path to the system's programs. */
  start(file: string, ...args: string[]) {
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
    const command = [...this.#enter, file, ...args];
    return execa('nsenter', command, { env, extendEnv: false, reject: false });
  }

  /** Runs a program on the node. @returns its output @throws Error with its words */
  async run(file: string, ...args: string[]): Promise<string> {
    const { failed, stdout, stderr, shortMessage } = await this.start(file, ...args);
    if (failed) throw new Error(`${[file, ...args].join(' ')}: ${stderr || shortMessage}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With its first process end all others of a PID namespace, and only then unshare hears of it.
    process.kill(Number(this.#pid), 'SIGKILL');
    await this.#unshare;
    try {
      removeCgroups(this.cgroup);
    } finally {
      await this.node[Symbol.asyncDispose]();
    }
  }
}

/** Control groups outlive processes. Version 1 has a hierarchy a controller. */
function removeCgroups(name: string): void {
  const hierarchies = ['', ...readdirSync(CGROUPS)];
  const groups = hierarchies.map((hierarchy) => join(CGROUPS, hierarchy, name));
  for (const group of groups.filter((path) => existsSync(path))) removeTree(group);
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}

async function layLan(node: TestNode, outside: string): Promise<void> {
  const peer = ['peer', 'name', 'eth0', 'netns', outside];
  await node.run('ip', ['link', 'add', 'eth0', 'up', 'type', 'veth', ...peer]);
  await node.run('ip', ['address', 'add', `${NODE_ADDRESS}/24`, 'dev', 'eth0']);
  await node.run('ip', ['address', 'add', `${OUTSIDE_ADDRESS}/24`, 'dev', 'eth0'], outside);
  await node.run('ip', ['link', 'set', 'eth0', 'up'], outside);
}

/** The packed executables, or files of the same names that run the source. */
function pluginFolder(node: TestNode): string {
  if (BIN !== undefined) return BIN;
  const folder = node.path('plugins');
  mkdirSync(folder);
  for (const name of PLUGIN_NAMES)
    node.writeProgram(`plugins/${name}`, `exec ${ownProgram(name).join(' ')}`);
  return folder;
}
