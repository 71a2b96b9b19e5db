/**
 * One plugin of a network, run once: its configuration, its environment, a line on its progress,
 * its failure in words.
 */
import { CniError, toCniError } from '#lib/cni/error.ts';
import { delegateCommand, runtimeAdd } from '#lib/cni/delegate.ts';
import type { Builtins } from '#lib/cni/plugin.ts';
import { now } from '#lib/sys/clock.ts';
import { type Environment, log } from '#lib/sys/process.ts';
import type { RuntimeAttachment } from './attachment.ts';
import type { Json, PluginEntry } from './config.ts';
import type { Network } from './network-list.ts';

/** The parts of the process that every run needs. */
export interface Host {
  readonly env: Environment;
  readonly builtins: Builtins;
  /** Where the result cache is. */
  readonly cacheDir: string;
  /** Whether a line on standard error tells of each run. */
  readonly showsProgress: boolean;
}

/** A run: which network, for which attachment (none for GC and STATUS), after which result. */
export interface Run {
  readonly network: Network;
  readonly attachment?: RuntimeAttachment;
  readonly prevResult?: Json | undefined;
}

/** libcni's words for what failed. */
const VERBS = { ADD: 'add', CHECK: 'check', DEL: 'delete', GC: 'gc', STATUS: 'status' } as const;

/**
 * Runs a plugin's ADD. @returns the document that it printed. @throws CniError with the plugin's
 * code
 */
export const runAdd = (host: Host, plugin: PluginEntry, run: Run): Json =>
  watch(host, plugin, 'ADD', () => runtimeAdd(delegateCall(host, plugin, run), plugin.type));

/** Runs any other command of a plugin. @throws CniError with the plugin's code */
export function runCommand(
  host: Host,
  plugin: PluginEntry,
  command: 'CHECK' | 'DEL' | 'GC' | 'STATUS',
  run: Run,
): void {
  watch(host, plugin, command, () =>
    delegateCommand(delegateCall(host, plugin, run), plugin.type, command),
  );
}

function watch<T>(host: Host, plugin: PluginEntry, command: keyof typeof VERBS, body: () => T): T {
  const start = now();
  const tell = (outcome: string) => {
    if (host.showsProgress) {
      log(`cnitool: ${command} ${plugin.type}: ${outcome} ${Math.round(now() - start)} ms`);
    }
  };
  try {
    const answer = body();
    tell('done in');
    return answer;
  } catch (error) {
    tell('failed after');
    throw failure(plugin, command, error);
  }
}

/**
 * Everything that the plugin said, in one line: whoever reports this wraps it in words of his own.
 */
function failure(plugin: PluginEntry, command: keyof typeof VERBS, error: unknown): CniError {
  const { message, details, code } = toCniError(error);
  const name = plugin.name === '' ? '' : ` name="${plugin.name}"`;
  const subject = `plugin type="${plugin.type}"${name} failed (${VERBS[command]})`;
  const words = [message.replace(/\.$/, ''), details].filter((text) => text !== '').join('; ');
  return new CniError(code, `${subject}: ${words} (code ${code})`, '', { cause: error });
}

function delegateCall({ env, builtins }: Host, plugin: PluginEntry, run: Run) {
  const config = pluginConfig(plugin, run);
  return {
    env: pluginEnvironment(env, run.attachment),
    input: Buffer.from(JSON.stringify(config)),
    builtins,
  };
}

/**
 * Nothing of an attachment is left unset: plugins must not see this process's own variables in its
 * place.
 */
function pluginEnvironment(env: Environment, attachment: RuntimeAttachment | undefined) {
  return {
    ...env,
    CNI_CONTAINERID: attachment?.containerID ?? '',
    CNI_NETNS: attachment?.netns ?? '',
    CNI_IFNAME: attachment?.ifName ?? '',
    CNI_ARGS: (attachment?.cniArgs ?? []).map((pair) => pair.join('=')).join(';'),
    CNI_PATH: env['CNI_PATH'] ?? '',
  };
}

/**
 * The object that a plugin gets on standard input: its own, with the network's name and version,
 * the result before it, and those capability arguments that it declares to understand.
 */
export function pluginConfig(plugin: PluginEntry, { network, attachment, prevResult }: Run): Json {
  const args = Object.entries(attachment?.capabilityArgs ?? {});
  const understood = args.filter(([name]) => plugin.capabilities.includes(name));
  return inject(plugin.json, {
    cniVersion: network.cniVersion,
    name: network.name,
    ...(prevResult === undefined ? {} : { prevResult }),
    ...(understood.length === 0 ? {} : { runtimeConfig: Object.fromEntries(understood) }),
  });
}

/**
 * Sets keys, in place of those that differ in letter case only: to Go's decoder they are the same.
 */
function inject(object: Json, values: Json): Json {
  const names = new Set(Object.keys(values).map((key) => key.toLowerCase()));
  const rest = Object.entries(object).filter(([key]) => !names.has(key.toLowerCase()));
  return { ...Object.fromEntries(rest), ...values };
}
