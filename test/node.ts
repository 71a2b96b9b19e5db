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
import { inNetns, netnsPath, ownScript } from '#scripts/world/command.ts';
import { ROOT } from '#scripts/world/paths.ts';
import { type Answer, callPlugin, type PluginCall } from '#scripts/world/plugin-call.ts';
import { systemPath } from '#scripts/world/tools.ts';
import { writeProgram } from './folder.ts';

process.env['PATH'] = systemPath(process.env['PATH'] ?? '');

const { CNI_TEST_BIN = '' } = process.env;

/** The folder of the packed executables; undefined: the tests run the source. */
export const BIN = CNI_TEST_BIN === '' ? undefined : join(ROOT, CNI_TEST_BIN);

/** Debian's package containernetworking-plugins: the reference plugins. */
export const REFERENCE_BIN = '/usr/lib/cni';

/** A call of a plugin on the node. CNI_PATH is the packed executables' folder if nothing else is said, or one that is empty. */
export interface CallOptions extends Partial<
  Omit<PluginCall, 'command' | 'program' | 'hostNetns'>
> {
  /** A plugin of ours by name, or the path of another's. */
  readonly plugin: string;
  readonly config: object | string;
}

let count = 0;

/** A node; `await using` takes it away. */
export class TestNode implements AsyncDisposable {
  readonly name: string;
  /** The path of the host's namespace. */
  readonly netns: string;
  readonly folder: string;
  readonly #namespaces: string[] = [];

  private constructor() {
    count += 1;
    this.name = `cni-test-${process.pid}-${count}`;
    this.netns = netnsPath(this.name);
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
    return netnsPath(`${this.name}-${pod}`);
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

  /** Writes a program of the shell's. @returns its path */
  writeProgram(name: string, script: string): string {
    writeProgram(this.path(name), script);
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
  async run(file: string, args: readonly string[], netns = this.netns): Promise<string> {
    const { stdout } = await execa(...inNetns(netns, file, ...args));
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
    const { plugin, ...call } = options;
    return callPlugin({
      containerID: 'cid1',
      ifName: 'eth0',
      path: BIN ?? this.path('empty'),
      ...call,
      command,
      program: plugin.includes('/') ? [plugin] : ownProgram(plugin),
      hostNetns: this.netns,
    });
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

/** The call as a runtime goes on from a result: with it as prevResult. */
export const withResult = (
  call: CallOptions & { readonly config: object },
  prevResult: unknown,
) => ({ ...call, config: { ...call.config, prevResult } });

/** Passes a test that the source can't stand, and says why. @returns whether the tests run the source */
export function isSkippedFromSource(t: ExecutionContext, why: string): boolean {
  if (BIN !== undefined) return false;
  t.log(`skipped: from source, ${why}`);
  t.pass();
  return true;
}

/** The command line of a plugin of ours. */
export function ownProgram(name: string): string[] {
  if (BIN !== undefined) return [join(BIN, name)];
  return ownScript(join(ROOT, 'cmd/cni-suite/main.ts'), name).flat();
}

/** A folder that has a plugin of ours as a program: a Go plugin can't delegate to one in our process. */
export function folderOf(node: TestNode, name: string): string {
  if (BIN !== undefined) return BIN;
  node.writeProgram(`empty/${name}`, `exec ${ownProgram(name).join(' ')}`);
  return node.path('empty');
}
