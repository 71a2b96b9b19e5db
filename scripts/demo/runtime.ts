/** A container runtime as far as the network goes: reads the list, completes the plugins' configurations, calls them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseResult, type Result } from '#lib/cni/result.ts';
import type { SpecVersion } from '#lib/cni/version.ts';
import { netnsPath } from '#scripts/world/command.ts';
import { ScriptFailure } from '#scripts/world/failure.ts';
import { BUILT_BIN, ROOT } from '#scripts/world/paths.ts';
import { type Answer, callPluginSync } from '#scripts/world/plugin-call.ts';
import type { Node } from './plan.ts';

const LIST = join(ROOT, 'conf', '10-flannel.conflist');
const IF_NAME = 'eth0';

/** Far above what any call takes. */
const TIMEOUT_MS = 30_000;

type Json = Readonly<Record<string, unknown>>;

/** A network configuration list; test/conf checks the file. */
interface List {
  readonly name: string;
  readonly cniVersion: SpecVersion;
  readonly plugins: readonly (Json & { readonly type: string })[];
}

/** How a call went: `failure` is empty if it succeeded. */
export interface Outcome {
  readonly ms: number;
  readonly failure: string;
}

const readList = (): List => JSON.parse(readFileSync(LIST, 'utf8')) as List;

/** Adds a pod to the network: every plugin in order, each with the result of the one before. @throws ScriptFailure */
export function addPod(node: Node, pod: string): { ms: number; result: Result } {
  const list = readList();
  let [ms, stdout] = [0, ''];
  for (const plugin of list.plugins) {
    const previous = stdout === '' ? {} : { prevResult: JSON.parse(stdout) as unknown };
    const config = { ...completed(list, plugin, node), ...previous };
    const call = callPlugin('ADD', plugin.type, { node, pod, config });
    if (call.failure !== '') throw new ScriptFailure(`ADD of ${pod} failed: ${call.failure}`);
    ms += call.ms;
    stdout = call.stdout;
  }
  return { ms, result: parseResult(JSON.parse(stdout), list.cniVersion, `result of ${pod}`) };
}

/** Takes a pod off the network: the plugins in reverse order. Lists before 0.4.0 get no prevResult. */
export function deletePod(node: Node, pod: string): Outcome {
  const list = readList();
  let ms = 0;
  for (const plugin of list.plugins.toReversed()) {
    const config = completed(list, plugin, node);
    const call = callPlugin('DEL', plugin.type, { node, pod, config });
    ms += call.ms;
    if (call.failure !== '') return { ms, failure: call.failure };
  }
  return { ms, failure: '' };
}

/** What a runtime puts in, and the paths that keep the two nodes, which share a file system, apart. */
function completed({ name, cniVersion }: List, plugin: List['plugins'][number], node: Node): Json {
  const named = { ...plugin, name, cniVersion };
  if (plugin.type !== 'flannel') return named;
  return {
    ...named,
    subnetFile: join(node.folder, 'subnet.env'),
    dataDir: join(node.folder, 'flannel'),
    ipam: { ...(plugin['ipam'] as Json | undefined), dataDir: join(node.folder, 'networks') },
  };
}

interface Call {
  readonly node: Node;
  readonly pod: string;
  readonly config: Json;
}

/** One call of a packed executable, in the node's namespace, as the specification has it. */
function callPlugin(
  command: 'ADD' | 'DEL',
  type: string,
  { node, pod, config }: Call,
): Outcome & { stdout: string } {
  const start = performance.now();
  const answer = callPluginSync({
    command,
    program: [join(BUILT_BIN, type)],
    config,
    hostNetns: netnsPath(node.name),
    containerID: pod,
    netns: netnsPath(pod),
    ifName: IF_NAME,
    path: BUILT_BIN,
    timeoutMs: TIMEOUT_MS,
  });
  const ms = performance.now() - start;
  return { ms, stdout: answer.stdout, failure: answer.problem === '' ? '' : failure(answer) };
}

/** The plugin's error document is on standard output, what else it had to say on standard error. */
function failure({ json, stdout, stderr, problem }: Answer): string {
  // It need not have come as far as an error document.
  if (json === undefined) return stdout || stderr || problem;
  const { code, msg, details = '' } = json as Readonly<Record<string, string>>;
  return `${msg} (${details === '' ? '' : `${details}; `}code ${code})`;
}
