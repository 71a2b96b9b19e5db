/** Plugins, and how a call of the protocol becomes a call of a plugin's member. */
import type * as z from 'zod/mini';
import { openNetns, openOwnNetns } from '#lib/sys/netns.ts';
import type { Environment } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import type { Attachment, AttachmentKey } from './attachment.ts';
import { type ParsedConfig, parseConfig } from './config.ts';
import { type CallEnvironment, type Command, parseEnvironment } from './environment.ts';
import { CniError, CODE } from './error.ts';
import { type Finding, throwFirst } from './finding.ts';
import { encodeResult, parseResult, type Result } from './result.ts';
import { parseWith } from './schema.ts';
import { shorten } from './shorten.ts';
import { isAtLeast, isSpecVersion, NEWEST_VERSION, type SpecVersion } from './version.ts';

/** The arguments of every member of a plugin. */
export interface Call<C> {
  readonly config: Readonly<C>;
  readonly cniVersion: SpecVersion;
  /** Name of the network. */
  readonly network: string;
  readonly env: Environment;
  /** The configuration as it came, for delegates. */
  readonly input: Uint8Array;
  /**
   * The configuration as parsed JSON: a meta-plugin builds its delegate's configuration from it.
   */
  readonly json: Readonly<Record<string, unknown>>;
  readonly builtins: Builtins;
  /**
   * Whether another plugin of this process makes the call. Then locks last until that plugin ends.
   */
  readonly isDelegate: boolean;
}

/** A call about one attachment. `prevResult` is absent for the first plugin of a chain. */
export interface AttachmentCall<C> extends Call<C> {
  readonly attachment: Attachment;
  readonly prevResult: Result | undefined;
}

/**
 * A call of GC. If `valid` is undefined, the runtime did not say: only state of dead containers may
 * be deleted.
 */
export interface GcCall<C> extends Call<C> {
  readonly valid: readonly AttachmentKey[] | undefined;
}

/** The network that a GC is about, and its valid attachments. */
export type GcScope = Pick<GcCall<unknown>, 'network' | 'valid'>;

/**
 * A plugin: its name, two schemas for its configuration, and one function for each command. An ADD
 * that fails undoes its own work.
 */
export interface Plugin<C, T> {
  readonly name: string;
  /** Versions of the specification that it supports, oldest first. */
  readonly versions: readonly SpecVersion[];
  /** The schema for ADD, CHECK and STATUS. */
  readonly config: z.ZodMiniType<C>;
  /**
   * The schema for DEL and GC: where the state is, and little else. It refuses no value: a pod must
   * be deleted even if its ADD was refused for a value, or if its network was changed since.
   */
  readonly teardown: z.ZodMiniType<T>;
  readonly add: (call: AttachmentCall<C>) => Result;
  /** Finds what is not as ADD made it. The first finding is the answer. */
  readonly check: (call: AttachmentCall<C>) => Iterable<Finding>;
  /** Works twice, without namespace, without prevResult. */
  readonly del: (call: AttachmentCall<T>) => void;
  readonly gc: (call: GcCall<T>) => void;
  /**
   * Finds why an ADD would fail, or why running pods can't be reached. The first finding is the
   * answer.
   */
  readonly status: (call: Call<C>) => Iterable<Finding>;
}

/** A plugin with any types of configuration. */
// oxlint-disable-next-line typescript/no-explicit-any -- the types are closed over: a plugin's schemas feed its own members
export type AnyPlugin = Plugin<any, any>;

/** Finds a plugin that is part of this executable. */
export type Builtins = (name: string) => AnyPlugin | undefined;

/** Declares a plugin: gives its members the types of its configuration. */
export const definePlugin = <C, T>(plugin: Plugin<C, T>): Plugin<C, T> => plugin;

/** A call of the protocol, before anything of it is checked. */
export interface Invocation {
  readonly env: Environment;
  /** Reads standard input, which VERSION must not. */
  readonly readInput: () => Uint8Array;
  /**
   * Prints the answer, a JSON document or nothing. If it throws, the ADD is undone: nobody knows
   * its result.
   */
  readonly print: (answer: string) => void;
  /**
   * Takes the result of an ADD as a value, for a plugin of this process. Then nothing is printed.
   */
  readonly deliver?: ((result: Result) => void) | undefined;
  readonly builtins: Builtins;
  /** Whether a plugin of this process makes the call. */
  readonly isDelegate: boolean;
}

/** The version that each command came with. */
const COMMAND_SINCE = {
  ADD: '0.1.0',
  DEL: '0.1.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
} as const satisfies Record<Exclude<Command, 'VERSION'>, SpecVersion>;

/** The answer to VERSION: one line. */
const versionAnswer = ({ versions }: AnyPlugin): string =>
  `${JSON.stringify({ cniVersion: NEWEST_VERSION, supportedVersions: versions })}\n`;

/**
 * Carries out one call. The checks come in the order of the reference library: environment, input,
 * configuration, command, version, plugin. @throws CniError and whatever the plugin or `print`
 * throws
 */
export function invoke(plugin: AnyPlugin, invocation: Invocation): void {
  const callEnv = parseEnvironment(invocation.env);
  if (callEnv.command === 'VERSION') {
    invocation.print(versionAnswer(plugin));
    return;
  }
  const input = invocation.readInput();
  const parsed = parseConfig(input);
  const command = implementedCommand(callEnv.command);
  const cniVersion = supportedVersion(plugin, parsed.cniVersion, command);
  const common = {
    cniVersion,
    network: parsed.network,
    env: invocation.env,
    input,
    json: parsed.json,
    builtins: invocation.builtins,
    isDelegate: invocation.isDelegate,
  };
  const read = (schema: AnyPlugin['config']): Call<unknown> => ({
    ...common,
    config: parseWith(schema, parsed.json, `network config "${parsed.network}"`),
  });
  const attached = (schema: AnyPlugin['config']): AttachmentCall<unknown> =>
    attachmentCall(read(schema), callEnv, parsed);
  const valid = parsed.validAttachments;
  if (command === 'STATUS') throwFirst(plugin.status(read(plugin.config)));
  else if (command === 'GC') plugin.gc({ ...read(plugin.teardown), valid });
  else if (command === 'CHECK') throwFirst(plugin.check(attached(plugin.config)));
  else if (command === 'DEL') plugin.del(attached(plugin.teardown));
  else {
    const result = plugin.add(attached(plugin.config));
    using undo = new DisposableStack();
    undo.defer(() => plugin.del(attached(plugin.teardown)));
    deliver(result, cniVersion, invocation);
    undo.move();
  }
}

function implementedCommand(command: string): keyof typeof COMMAND_SINCE {
  if (Object.hasOwn(COMMAND_SINCE, command)) return command as keyof typeof COMMAND_SINCE;
  throw new CniError(CODE.INVALID_ENVIRONMENT, `unknown CNI_COMMAND: ${shorten(command)}`);
}

function supportedVersion(
  plugin: AnyPlugin,
  cniVersion: string,
  command: keyof typeof COMMAND_SINCE,
): SpecVersion {
  if (!isSpecVersion(cniVersion) || !plugin.versions.includes(cniVersion)) {
    throw new CniError(
      CODE.INCOMPATIBLE_VERSION,
      'incompatible CNI versions',
      `config is "${shorten(cniVersion)}", plugin supports ["${plugin.versions.join('" "')}"]`,
    );
  }
  if (!isAtLeast(cniVersion, COMMAND_SINCE[command])) {
    throw new CniError(
      CODE.INCOMPATIBLE_VERSION,
      `config version does not allow ${command}`,
      `cniVersion is "${cniVersion}", ${command} needs "${COMMAND_SINCE[command]}"`,
    );
  }
  return cniVersion;
}

function attachmentCall(
  call: Call<unknown>,
  { containerID, ifName, netns, command }: CallEnvironment,
  { prevResult }: ParsedConfig,
): AttachmentCall<unknown> {
  refuseOwnNetns(call.env, netns);
  const parse = () => parseResult(prevResult, call.cniVersion, 'prevResult');
  // A corrupt result must not hold up DEL, which has everything it needs without.
  const read = command === 'DEL' ? () => recover(parse, instanceOf(CniError)) : parse;
  return {
    ...call,
    attachment: { network: call.network, containerID, ifName, netns },
    prevResult: prevResult === undefined ? undefined : read(),
  };
}

/**
 * Hands over a result. If the configured version has no shape for it, or if it can't be printed,
 * the caller deletes the attachment.
 */
function deliver(
  result: Result,
  cniVersion: SpecVersion,
  { print, deliver: take }: Invocation,
): void {
  // Older versions of the result lose keys. Those must not appear in another plugin's result.
  if (take !== undefined && isAtLeast(cniVersion, '0.3.0')) take(result);
  else print(encodeResult(result, cniVersion));
}

/**
 * Refuses a container namespace that is the plugin's own: the plugin would reconfigure the host.
 */
function refuseOwnNetns(env: Environment, netns: string | undefined): void {
  const override = env['CNI_NETNS_OVERRIDE']?.toLowerCase();
  if (netns === undefined || override === '1' || override === 'true') return;
  using own = openOwnNetns();
  using container = openNetnsOrNone(netns);
  if (container?.id === own.id) {
    throw new CniError(
      CODE.INVALID_NETNS,
      "plugin's netns and netns from CNI_NETNS should not be the same",
      `CNI_NETNS is "${netns}"; CNI_NETNS_OVERRIDE=1 allows it`,
    );
  }
}

/** Opens a namespace. If it can't be opened, the code that needs it reports why. */
function openNetnsOrNone(path: string) {
  try {
    return openNetns(path);
  } catch {
    return undefined;
  }
}
