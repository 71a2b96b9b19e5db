/** cnitool on a test's node: with a result cache of its own, and plugins that keep a record of how they were called. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { inNetns } from '#scripts/world/command.ts';
import { ownProgram, TestNode } from '#test/node.ts';

/** What a call of cnitool answered. */
export interface ToolAnswer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder that cnitool sees as /var/lib. */
const LIB = 'var-lib';

/** The folder of the network configurations. */
const NET_DIR = 'net.d';

const SHELL = 'mount --bind "$1" /var/lib && shift && exec "$@"';

/** Runs cnitool in the node's namespace, and in a mount namespace where /var/lib is the node's own. */
export async function cnitool(
  node: TestNode,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ToolAnswer> {
  return await inMounts(node, [...ownProgram('cnitool'), ...args], env);
}

/** Runs any program there. */
export async function inMounts(
  node: TestNode,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ToolAnswer> {
  mkdirSync(node.path(LIB), { recursive: true });
  const mounts = ['--mount', 'sh', '-c', SHELL, 'sh', node.path(LIB), ...command];
  const { exitCode, stdout, stderr } = await execa(...inNetns(node.netns, 'unshare', ...mounts), {
    extendEnv: false,
    env: {
      PATH: process.env['PATH'] ?? '',
      NETCONFPATH: node.path(NET_DIR),
      CNI_PATH: node.path('bin'),
      ...env,
    },
    reject: false,
  });
  return { exitCode, stdout, stderr };
}

/** Writes a network's file. */
export function writeNetwork(node: TestNode, file: string, content: object | string): void {
  mkdirSync(node.path(NET_DIR, file, '..'), { recursive: true });
  writeFileSync(
    node.path(NET_DIR, file),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
}

/** Names of the cache's files. */
export const cacheFiles = (node: TestNode): string[] => {
  const folder = node.path(LIB, 'cni', 'results');
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
};

/** A file of the cache. */
export const cachePath = (node: TestNode, file: string): string =>
  node.path(LIB, 'cni', 'results', file);

/** Records command, input and variables; fails when it is told to; answers ADD with the file next to it. */
const RECORDER = `self=$(basename "$0"); dir=$(dirname "$0")/log; mkdir -p "$dir"
echo "$CNI_COMMAND $self $CNI_CONTAINERID" >> "$dir/calls"
cat > "$dir/$CNI_COMMAND.$self.json"
env | grep '^CNI_' | sort > "$dir/$CNI_COMMAND.$self.env"
if [ -e "$0.$CNI_COMMAND.error" ]; then cat "$0.$CNI_COMMAND.error"; exit 1; fi
if [ "$CNI_COMMAND" = ADD ]; then cat "$0.result"; fi`;

/** A plugin of this name in the node's CNI_PATH that records its calls and answers ADD with a result. */
export function addRecorder(node: TestNode, name: string, result: object): void {
  mkdirSync(node.path('bin'), { recursive: true });
  node.writeProgram(`bin/${name}`, RECORDER);
  writeFileSync(node.path('bin', `${name}.result`), JSON.stringify(result));
}

/** Lets a recorder fail a command from now on. */
export function letFail(node: TestNode, name: string, command: string, error: object): void {
  writeFileSync(node.path('bin', `${name}.${command}.error`), JSON.stringify(error));
}

/** The calls of all recorders so far, such as "ADD first". */
export const recordedCalls = (node: TestNode): string[] =>
  existsSync(node.path('bin', 'log', 'calls'))
    ? readFileSync(node.path('bin', 'log', 'calls'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ').slice(0, 2).join(' '))
    : [];

/** The configuration that a recorder was given. */
// oxlint-disable-next-line typescript/no-explicit-any -- tests pick from JSON documents of many shapes
export const recordedInput = (node: TestNode, command: string, name: string): any =>
  JSON.parse(readFileSync(node.path('bin', 'log', `${command}.${name}.json`), 'utf8'));

/** The CNI_* variables that a recorder was given, a line each. */
export const recordedVariables = (node: TestNode, command: string, name: string): string[] =>
  readFileSync(node.path('bin', 'log', `${command}.${name}.env`), 'utf8')
    .trimEnd()
    .split('\n');

/** What the recorders of recordingNode() answer to ADD. */
export const FIRST = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.2/24' }] };
export const SECOND = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.3/24' }] };

/** Network and namespace of a call; recorders do not mind that there is no such namespace. */
export const POD = ['blue', '/run/netns/pod'];

/** The same as container, and its file in the cache. */
export const CONTAINER = 'cnitool-9539caf00070aeae0bd6';
export const ENTRY = `blue-${CONTAINER}-eth0`;

/** A node with the network "blue", of the recorders "first" and "second"; keys are added to its list. */
export async function recordingNode(keys: object = {}): Promise<TestNode> {
  const node = await TestNode.create();
  addRecorder(node, 'first', FIRST);
  addRecorder(node, 'second', SECOND);
  const plugins = [{ type: 'first' }, { type: 'second', name: 'own', capabilities: { mac: true } }];
  writeNetwork(node, '10-blue.conflist', { cniVersion: '1.1.0', name: 'blue', plugins, ...keys });
  return node;
}
