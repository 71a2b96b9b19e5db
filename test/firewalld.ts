/** Debian's firewalld in a test node's namespace, on a system bus of the node's own. */
import { mkdirSync } from 'node:fs';
import { execa } from 'execa';
import { inNetns } from '#scripts/world/command.ts';
import { scaled } from './limits.ts';
import type { TestNode } from './node.ts';

/** The bus lets everybody own and call everything: nobody but the test can reach its socket. */
const busConfig = (socket: string): string => `<!DOCTYPE busconfig PUBLIC
  "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=${socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    ${['method_call', 'method_return', 'error', 'signal'].map((type) => `<allow send_type="${type}"/><allow receive_type="${type}"/>`).join('')}
  </policy>
</busconfig>
`;

/** A program that was started, and its end. */
interface Program extends PromiseLike<unknown> {
  kill(): boolean;
}

const FIREWALLD = 'org.fedoraproject.FirewallD1';

/** An answer of the bus may take this long. */
const ANSWER_LIMIT_S = scaled(5);

/** How often it is looked whether the programs have started, and how far apart. */
const TRIES = scaled(150);
const APART_MS = 200;

/** A bus with or without firewalld; `await using` ends both. */
export class TestBus implements AsyncDisposable {
  /** What leads the plugins to the bus. */
  readonly env: Readonly<Record<string, string>>;
  readonly #node: TestNode;
  readonly #programs = new Map<string, Program>();

  private constructor(node: TestNode) {
    this.#node = node;
    this.env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${node.path('bus')}` };
  }

  static async start(node: TestNode): Promise<TestBus> {
    const bus = new TestBus(node);
    const file = node.writeFile('bus.conf', busConfig(node.path('bus')));
    bus.#run('dbus-daemon', [`--config-file=${file}`, '--nofork', '--nopidfile']);
    await bus.#waitFor(() => bus.call('org.freedesktop.DBus', 'org.freedesktop.DBus', 'GetId'));
    return bus;
  }

  /** Starts firewalld with Debian's defaults, writing nothing outside of the node's folder. */
  async startFirewalld(): Promise<void> {
    const folder = this.#node.path('firewalld');
    mkdirSync(folder);
    const options = ['--nofork', '--nopid', `--system-config=${folder}`];
    const log = `--log-file=${this.#node.path('firewalld.log')}`;
    this.#run(...inNetns(this.#node.netns, 'firewalld', ...options, log));
    await this.#waitFor(() => this.zone('getActiveZones'));
  }

  /** Ends firewalld, which takes its rules along. */
  async stopFirewalld(): Promise<void> {
    await this.#stop('nsenter');
  }

  /** Calls a method of firewalld's zones. @returns the answer's JSON */
  zone(method: string, ...args: readonly string[]): Promise<string> {
    return this.call(FIREWALLD, `${FIREWALLD}.zone`, method, args);
  }

  async call(
    service: string,
    face: string,
    method: string,
    args: readonly string[] = [],
  ): Promise<string> {
    const path = `/${service.replaceAll('.', '/')}`;
    const signature = args.length === 0 ? [] : ['s'.repeat(args.length)];
    const call = ['call', service, path, face, method, ...signature, ...args];
    const options = ['--system', `--timeout=${ANSWER_LIMIT_S}`, '--json=short'];
    const { stdout } = await execa('busctl', [...options, ...call], { env: this.env });
    return stdout;
  }

  #run(file: string, args: readonly string[]): void {
    const cwd = this.#node.folder;
    const program = execa(file, args, { env: this.env, cwd, reject: false });
    this.#programs.set(file, program);
  }

  async #stop(file: string): Promise<void> {
    const program = this.#programs.get(file);
    program?.kill();
    await program;
  }

  async #waitFor(ask: () => Promise<unknown>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await ask();
        return;
      } catch (error) {
        if (tries === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, APART_MS));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop('nsenter');
    await this.#stop('dbus-daemon');
  }
}
