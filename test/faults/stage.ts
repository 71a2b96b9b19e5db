/** Where a plugin meets its faults: a node with one pod, made ready again before each of them. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bridgeConfig, ipam, SUBNET_ENV } from '#test/configs.ts';
import type { Answer } from '#scripts/world/plugin-call.ts';
import { TestNode } from '#test/node.ts';
import { type DoorCall, type Fault, FAULT_VARIABLE, TRACE_VARIABLE } from './fault.ts';
import { minus, type Snapshot, takeSnapshot } from './snapshot.ts';
import type { Subject } from './subjects.ts';

/** The commands that are tried. */
export type Command = 'ADD' | 'DEL';

/** Folders of a node that plugins keep files in. */
const FOLDERS = ['networks', 'flannel', 'firewall', 'tuning'];

/** Takes away what a last DEL leaves on purpose, so that the next ADD finds a fresh node. */
const RESET = `
for link in br0 cni0; do ip link del $link; done
for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 0 > /proc/sys/net/$name; done
true`;

/** What portmap's ADD sets on the way to its pod, and leaves. */
const RESET_LOCALNET =
  'for file in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 0 > $file; done';

/** Every file below a folder that is state: locks are empty, temporary files nobody reads. */
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'lock' && !entry.name.startsWith('.tmp-'))
    .map(({ parentPath, name }) => join(parentPath, name));

/** What is JSON must be so to the last byte; reservations and markers must not be empty. */
function isWhole(path: string): boolean {
  const text = readFileSync(path, 'utf8');
  if (!/^\s*\{/.test(text)) return text !== '';
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Kernel parameters that stay as tuning's ADD set them. */
const RESET_POD = 'for file in /proc/sys/net/ipv4/conf/*/arp_ignore; do echo 0 > $file; done';

/** A subject on its node. */
export class Stage implements AsyncDisposable {
  readonly #subject: Subject;
  readonly #programs: string;
  readonly #node: TestNode;
  readonly #netns: string;
  #prevResult: object | undefined;
  /** What may be there when nothing of the attachment is. */
  #allowed: Snapshot = new Set();
  /** What must be there all the time. */
  #lasting: Snapshot = new Set();

  private constructor(subject: Subject, programs: string, node: TestNode, netns: string) {
    this.#subject = subject;
    this.#programs = programs;
    this.#node = node;
    this.#netns = netns;
  }

  /** Makes a node; `programs` is the folder of the plugins behind the door. */
  static async create(subject: Subject, programs: string): Promise<Stage> {
    const node = await TestNode.create();
    node.writeFile('subnet.env', SUBNET_ENV);
    const stage = new Stage(subject, programs, node, await node.addPod('a'));
    if (subject.isChained === true) await stage.#connect();
    return stage;
  }

  /** A chained plugin's pod is on a bridge already. */
  async #connect(): Promise<void> {
    const config = bridgeConfig(this.#node, {
      ipam: ipam(this.#node, ['10.1.0.0/24', 'fd00:1::/64']),
    });
    const call = { plugin: 'bridge', config, netns: this.#netns };
    const { exitCode, stdout, json } = await this.#node.call('ADD', call);
    if (exitCode !== 0) throw new Error(`The stage's bridge failed: ${stdout}`);
    this.#prevResult = json as object;
  }

  /** Runs both commands without a fault. @returns the calls that each makes on a fresh node */
  async rehearse(): Promise<Record<Command, DoorCall[]>> {
    const base = await this.#snapshot();
    await this.reset();
    const [added, deleted] = [await this.#traced('ADD'), await this.#traced('DEL')];
    const settled = await this.#snapshot();
    await this.reset();
    this.#allowed = new Set([...base, ...settled]);
    // The kernel forgets neighbours that are of no use.
    const lasts = (line: string): boolean =>
      settled.has(line) && !line.startsWith('host neighbour');
    this.#lasting = new Set([...base].filter(lasts));
    return { ADD: added, DEL: deleted };
  }

  async #traced(command: Command): Promise<DoorCall[]> {
    const trace = this.#node.path('trace.json');
    const answer = await this.#behindDoor(command, { [TRACE_VARIABLE]: trace });
    if (answer.exitCode !== 0)
      throw new Error(`${command} fails: ${answer.stdout}${answer.stderr}`);
    return JSON.parse(readFileSync(trace, 'utf8')) as DoorCall[];
  }

  /** Makes the node fresh. */
  async reset(): Promise<void> {
    // A chained plugin's pod keeps its bridge and its addresses.
    const own =
      this.#subject.isChained === true
        ? `rm -rf ${this.#node.path('firewall')} ${this.#node.path('tuning')}`
        : `${RESET}; rm -rf ${this.#folders().join(' ')}`;
    await this.#node.run('sh', ['-c', `(${own}; ${RESET_LOCALNET}) 2>/dev/null`]);
    await this.#node.run('sh', ['-c', RESET_POD], this.#netns);
  }

  #folders(): string[] {
    return FOLDERS.map((name) => this.#node.path(name));
  }

  #snapshot(): Promise<Snapshot> {
    return takeSnapshot(this.#node, this.#netns, this.#folders());
  }

  /** What is there and should not be, or should be and is not, once the attachment is gone. */
  async left(): Promise<string[]> {
    const now = await this.#snapshot();
    return [
      ...minus(now, this.#allowed).map((line) => `left: ${line}`),
      ...minus(this.#lasting, now).map((line) => `lost: ${line}`),
    ];
  }

  /** Files that are not whole: another process may read them at any moment. */
  torn(): string[] {
    return this.#folders()
      .flatMap((folder) => (existsSync(folder) ? filesOf(folder) : []))
      .filter((path) => !isWhole(path));
  }

  /** A call with a fault. @throws Error if it did not come to that */
  async fail(command: Command, fault: Fault): Promise<Answer> {
    const trace = this.#node.path('trace.json');
    rmSync(trace, { force: true });
    const env = { [FAULT_VARIABLE]: JSON.stringify(fault), [TRACE_VARIABLE]: trace };
    const answer = await this.#behindDoor(command, env);
    const isKilled = !existsSync(trace);
    if (isKilled !== (fault.effect === 'SIGKILL')) throw new Error(`${command} was not as planned`);
    if (!isKilled && (JSON.parse(readFileSync(trace, 'utf8')) as DoorCall[]).length <= fault.at) {
      throw new Error(`${command} never came to call ${fault.at}`);
    }
    return answer;
  }

  #behindDoor(command: Command, env: Readonly<Record<string, string>>): Promise<Answer> {
    const plugin = join(this.#programs, this.#subject.plugin);
    // No other executable: delegates are to be behind the door as well.
    const path = this.#node.path('empty');
    return this.#node.call(command, { ...this.#call(), plugin, env, path });
  }

  /** A call of the plugin as it is, without a fault. */
  call(command: Command | 'CHECK', result?: unknown): Promise<Answer> {
    const { plugin } = this.#subject;
    return this.#node.call(command, { ...this.#call(result), plugin });
  }

  #call(result: unknown = this.#prevResult) {
    const own = this.#subject.config(this.#node);
    const config = result === undefined ? own : { ...own, prevResult: result };
    return {
      config,
      netns: this.#netns,
      ifName: this.#subject.plugin === 'loopback' ? 'lo' : 'eth0',
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
  }
}
