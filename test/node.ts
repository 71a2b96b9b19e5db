/**
 * A Kubernetes node for tests: a network namespace as its host, others as its pods, a folder for its files. Everything is
 * named after this process, and gone after the test. The plugins run as a runtime runs them: from source, or the packed
 * executables of the folder in CNI_TEST_BIN.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import { ROOT } from '#scripts/world/paths.ts';
import { systemPath } from '#scripts/world/tools.ts';

process.env['PATH'] = systemPath(process.env['PATH'] ?? '');

/** The folder of the packed executables; undefined: the tests run the source. */
export const BIN = process.env['CNI_TEST_BIN'] && join(ROOT, process.env['CNI_TEST_BIN']);

/** Debian's package containernetworking-plugins: the reference plugins. */
export const REFERENCE_BIN = '/usr/lib/cni';

/** What a plugin answered. `json` is standard output, read. */
export interface Answer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests pick from JSON documents of many shapes
  readonly json: any;
}

/** A call as a runtime makes it. */
export interface CallOptions {
  /** A plugin of ours by name, or the path of another's. */
  readonly plugin: string;
  readonly config: object | string;
  readonly containerID?: string;
  readonly netns?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** CNI_PATH; default: the packed executables' folder, or one that is empty. */
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the plugin, given its command line. */
  readonly through?: readonly string[];
}

let count = 0;

/** A node; `await using` takes it away. */
export class TestNode implements AsyncDisposable {
  readonly name: string;
  readonly folder: string;
  readonly #namespaces: string[] = [];

  private constructor() {
    count += 1;
    this.name = `cni-test-${process.pid}-${count}`;
    this.folder = mkdtempSync(join(tmpdir(), `${this.name}-`));
    mkdirSync(join(this.folder, 'empty'));
  }

  static async create(): Promise<TestNode> {
    const node = new TestNode();
    await node.#addNamespace(node.name);
    return node;
  }

  async #addNamespace(name: string): Promise<void> {
    await execa('ip', ['netns', 'add', name]);
    this.#namespaces.push(name);
    await execa('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  }

  /** Makes a pod. @returns the path of its namespace */
  async addPod(pod: string): Promise<string> {
    await this.#addNamespace(`${this.name}-${pod}`);
    return `/run/netns/${this.name}-${pod}`;
  }

  async deletePod(pod: string): Promise<void> {
    const name = `${this.name}-${pod}`;
    await execa('ip', ['netns', 'del', name]);
    this.#namespaces.splice(this.#namespaces.indexOf(name), 1);
  }

  /** A path in the node's folder. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  writeFile(name: string, content: string): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  /** The files of a folder of the node's, without what the reference plugin leaves in it for ever. */
  files(folder: string): string[] {
    const names = readdirSync(this.path(folder), { recursive: true, withFileTypes: true });
    return names
      .filter((entry) => entry.isFile() && !/^(lock|last_reserved_ip\..*)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.path(folder).length + 1))
      .toSorted();
  }

  /** Runs a program in the host's namespace, or in that of a path. @returns its output */
  async run(
    file: string,
    args: readonly string[],
    netns = `/run/netns/${this.name}`,
  ): Promise<string> {
    const { stdout } = await execa('nsenter', [`--net=${netns}`, '--', file, ...args]);
    return stdout;
  }

  /** `ip -j` in the host's namespace or another: the document. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  async ip(args: string, netns?: string): Promise<any> {
    const text = await this.run('ip', ['-d', '-j', ...args.split(' ')], netns);
    return text === '' ? [] : JSON.parse(text);
  }

  /** The rules of the host's nf_tables, as text. */
  rules(): Promise<string> {
    return this.run('nft', ['list', 'ruleset']);
  }

  /** Names of the host's interfaces, without `lo`. */
  async links(): Promise<string[]> {
    const links = (await this.ip('link show')) as { ifname: string }[];
    return links.map(({ ifname }) => ifname).filter((name) => name !== 'lo');
  }

  /** Calls a plugin in the host's namespace. */
  async call(command: string, options: CallOptions): Promise<Answer> {
    const { plugin, config, containerID = 'cid1', netns = '', ifName = 'eth0', args } = options;
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerID,
      CNI_NETNS: netns,
      CNI_IFNAME: ifName,
      CNI_PATH: options.path ?? BIN ?? this.path('empty'),
      ...(args === undefined ? {} : { CNI_ARGS: args }),
      PATH: process.env['PATH'] ?? '',
      ...options.env,
    };
    const program = plugin.includes('/') ? [plugin] : ownProgram(plugin);
    const input = typeof config === 'string' ? config : JSON.stringify(config);
    const through = options.through ?? [];
    const nsenter = [`--net=/run/netns/${this.name}`, '--', ...through, ...program];
    const result = await execa('nsenter', nsenter, { env, extendEnv: false, input, reject: false });
    const { exitCode, stdout, stderr } = result;
    return { exitCode, stdout, stderr, json: parse(stdout) };
  }

  /** The same; the call has to succeed. */
  async succeed(t: ExecutionContext, command: string, options: CallOptions): Promise<Answer> {
    const answer = await this.call(command, options);
    t.is(answer.exitCode, 0, `${command} ${options.plugin}: ${answer.stdout}${answer.stderr}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#namespaces)
      await execa('ip', ['netns', 'del', name], { reject: false });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The command line of a plugin of ours. */
export function ownProgram(name: string): string[] {
  if (BIN !== undefined && BIN !== '') return [join(BIN, name)];
  const flags = ['--disable-warning=ExperimentalWarning'];
  return [process.execPath, ...flags, join(ROOT, 'cmd/cni-suite/main.ts'), name];
}

/** A folder that has a plugin of ours as a program: a Go plugin can't delegate to one in our process. */
export async function folderOf(node: TestNode, name: string): Promise<string> {
  if (BIN !== undefined && BIN !== '') return BIN;
  const path = node.writeFile(`empty/${name}`, `#!/bin/sh\nexec ${ownProgram(name).join(' ')}\n`);
  await node.run('chmod', ['+x', path]);
  return node.path('empty');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
