/**
 * A call of a plugin as a container runtime makes it: environment, command line, input and answer. Whoever measures calls, or makes
 * them in its own process, takes the parts from here and runs them itself.
 */
import { execa, execaSync } from 'execa';
import { inNetns } from './command.ts';

/** What a runtime tells a plugin in the CNI_* variables; one that is absent is not set. */
export interface Parameters {
  readonly command: string;
  readonly containerID?: string;
  /** Path of the container's network namespace. */
  readonly netns?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** Folders of plugins. */
  readonly path?: string;
  /** More variables; they overrule the others, PATH too. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A call. */
export interface PluginCall extends Parameters {
  /** The command line that runs the plugin. */
  readonly program: readonly string[];
  /** The network configuration; text and bytes are passed as they are. */
  readonly config: object | string | Uint8Array;
  /** A command line that runs that of the plugin, such as strace's. */
  readonly through?: readonly string[];
  /** Path of the network namespace that the plugin works on; absent: that of this process. */
  readonly hostNetns?: string;
  /** After this time the call is killed; absent: never. */
  readonly timeoutMs?: number;
}

/** A program that is to be started. */
export interface ProgramStart {
  readonly program: string;
  readonly args: readonly string[];
  /** All of the environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly input: string | Uint8Array;
}

/** What a plugin answered. */
export interface Answer {
  /** Undefined: it did not start, or was killed. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, read; undefined if it is not one JSON document. */
  // oxlint-disable-next-line typescript/no-explicit-any -- callers pick from JSON documents of many shapes
  readonly json: any;
  /** What went wrong with the process, for people; empty if it succeeded. */
  readonly problem: string;
}

/** The whole environment of a call. */
export function toVariables(parameters: Parameters): Record<string, string> {
  const { command, containerID, netns, ifName, args, path, env } = parameters;
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerID,
    CNI_NETNS: netns,
    CNI_IFNAME: ifName,
    CNI_ARGS: args,
    CNI_PATH: path,
  };
  const given = Object.entries(variables).filter(([, value]) => value !== undefined);
  return {
    PATH: process.env['PATH'] ?? '',
    ...(Object.fromEntries(given) as Record<string, string>),
    ...env,
  };
}

/** The process of a call. */
export function toStart(call: PluginCall): ProgramStart {
  const { config, program, through = [], hostNetns } = call;
  const [file = '', ...args] = [...through, ...program];
  const isText = typeof config === 'string' || config instanceof Uint8Array;
  const start = { env: toVariables(call), input: isText ? config : JSON.stringify(config) };
  if (hostNetns === undefined) return { ...start, program: file, args };
  const [nsenter, nsenterArgs] = inNetns(hostNetns, file, ...args);
  return { ...start, program: nsenter, args: nsenterArgs };
}

/** Calls a plugin while others go on. */
export async function callPlugin(call: PluginCall): Promise<Answer> {
  const { program, args, ...options } = toStart(call);
  return toAnswer(await execa(program, args, { ...options, ...limits(call) }));
}

/** Calls a plugin and waits. */
export function callPluginSync(call: PluginCall): Answer {
  const { program, args, ...options } = toStart(call);
  return toAnswer(execaSync(program, args, { ...options, ...limits(call) }));
}

const limits = ({ timeoutMs = 0 }: PluginCall) =>
  ({ timeout: timeoutMs, killSignal: 'SIGKILL', extendEnv: false, reject: false }) as const;

/** As execa tells it. */
interface Ended {
  readonly exitCode?: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly shortMessage?: string | undefined;
}

const toAnswer = ({ exitCode, stdout, stderr, shortMessage = '' }: Ended): Answer => ({
  exitCode,
  stdout,
  stderr,
  json: parseOrUndefined(stdout),
  problem: shortMessage,
});

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A plugin may have nothing to say, or died while it spoke.
    return undefined;
  }
}
