/**
 * The input of cnitool: network configurations, the plugins' objects in them, CAP_ARGS, and the
 * result cache's files.
 */
import * as z from 'zod/mini';
import { CniError, CODE } from '#lib/cni/error.ts';
import { parseJsonText } from '#lib/cni/json.ts';
import { listFaults, object, optional, textIfAny, textOrEmpty } from '#lib/cni/schema.ts';
import { compareVersions, DEFAULT_VERSION, NEWEST_VERSION } from '#lib/cni/version.ts';

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

const JsonObject = z.record(z.string(), z.unknown());

/** libcni also takes the words, in any letter case. */
const flag = z._default(
  z.pipe(
    z.unknown(),
    z.transform((value, context): boolean => {
      const word = typeof value === 'string' ? value.toLowerCase() : value;
      if (word === true || word === 'true') return true;
      if (word === false || word === 'false') return false;
      const message = `must be true or false, not ${JSON.stringify(value)}`;
      context.issues.push({ code: 'custom', message, input: value });
      return z.NEVER;
    }),
  ),
  false,
);

const isVersion = (text: string): boolean => compareVersions(text, NEWEST_VERSION) !== undefined;

const version = z.string().check(
  z.refine((text) => text === '' || isVersion(text), {
    error: ({ input }) => `must be a version such as "1.1.0", not ${JSON.stringify(input)}`,
  }),
);

/** A network configuration list. Keys in the letters of the specification: libcni reads it so. */
const ListFile = z
  .looseObject({
    /** Name of the network. */
    name: textIfAny,
    /** Version of the specification; 0.1.0 if absent. */
    cniVersion: textIfAny,
    /** Versions that the configuration is right for: the newest that we know is used. */
    cniVersions: z.optional(z.array(version)),
    /** Whether CHECK succeeds without running anything. */
    disableCheck: flag,
    /** Whether GC succeeds without running anything. */
    disableGC: flag,
    /** Whether the folder of the network's name is left unread. */
    loadOnlyInlinedPlugins: flag,
    /** The plugins' objects, in the order of ADD. */
    plugins: z.optional(z.array(JsonObject)),
  })
  .check(
    z.refine(({ name }) => name !== undefined, { error: 'no name' }),
    z.refine(({ plugins }) => plugins?.length !== 0, { error: 'no plugins in list' }),
    z.refine(({ plugins, loadOnlyInlinedPlugins }) => plugins || !loadOnlyInlinedPlugins, {
      error: "`loadOnlyInlinedPlugins` is true, and no 'plugins' key",
    }),
    z.refine(({ cniVersion = '', cniVersions }) => !cniVersions || isKnown(cniVersion), {
      error: ({ input }) => `invalid cniVersion ${(input as { cniVersion?: string }).cniVersion}`,
    }),
  );

const isKnown = (text: string): boolean => text === '' || isVersion(text);

/** A plugin's object, as far as the runtime reads it; in any letter case, as Go reads it. */
const PluginObject = object(() => ({
  /** The plugin's executable. */
  type: textOrEmpty,
  /** Of the network, in a file that holds one plugin only; in a list it means nothing. */
  name: textOrEmpty,
  /** As in the list, in a file that holds one plugin only. */
  cniVersion: textOrEmpty,
  /** Which capability arguments it is given. */
  capabilities: optional(z.record(z.string(), z.nullable(z.boolean())), {}),
}));

/** A plugin of a network. */
export interface PluginEntry {
  readonly type: string;
  /** Empty if its object has none. */
  readonly name: string;
  /** Empty if its object has none. */
  readonly cniVersion: string;
  /** Names of the capabilities that are true. */
  readonly capabilities: readonly string[];
  /** The whole object. */
  readonly json: Json;
}

/** A network configuration list, before what lies in the folder of its name. */
export interface NetworkConfig {
  readonly name: string;
  /** The effective version; not yet known to be one of the specification. */
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly loadOnlyInlinedPlugins: boolean;
  readonly plugins: readonly PluginEntry[];
}

/** Reads a network configuration list. @throws CniError in libcni's words */
export function parseListFile(text: string): NetworkConfig {
  const what = 'error parsing configuration list';
  const list = check(ListFile, parseJson(text, what), what);
  return {
    name: list.name ?? '',
    cniVersion: effectiveVersion(list.cniVersion, list.cniVersions),
    disableCheck: list.disableCheck,
    disableGC: list.disableGC,
    loadOnlyInlinedPlugins: list.loadOnlyInlinedPlugins,
    plugins: (list.plugins ?? []).map((json, index) =>
      toPlugin(json, `failed to parse plugin config ${index}: error parsing configuration`),
    ),
  };
}

/** Reads a file that holds one plugin's object. @throws CniError in libcni's words */
export function parsePluginFile(text: string): PluginEntry {
  const what = 'error parsing configuration';
  return toPlugin(check(JsonObject, parseJson(text, what), what), what);
}

function toPlugin(json: Json, what: string): PluginEntry {
  const { type, name, cniVersion, capabilities } = check(PluginObject, json, what);
  if (type === '') throw new CniError(CODE.INVALID_CONFIG, `${what}: missing 'type'`);
  const enabled = Object.keys(capabilities).filter((key) => capabilities[key] === true);
  return { type, name, cniVersion, capabilities: enabled, json };
}

/**
 * The newest version that the list names, of those that we know; what it names in vain is left for
 * the plugins to refuse.
 */
function effectiveVersion(cniVersion = '', cniVersions: readonly string[] = []): string {
  const named = cniVersions.length === 0 ? [] : [...cniVersions, cniVersion];
  const known = named
    .filter((text) => text !== '' && (compareVersions(text, NEWEST_VERSION) ?? 1) <= 0)
    .toSorted((a, b) => compareVersions(a, b) ?? 0);
  return known.at(-1) ?? (cniVersion || DEFAULT_VERSION);
}

/**
 * Capability arguments, CAP_ARGS: a JSON object, or nothing. @throws CniError INVALID_ENVIRONMENT
 */
export function parseCapabilityArgs(text: string): Json {
  const what = 'Cannot read the environment variable CAP_ARGS';
  if (text === '') return {};
  try {
    return check(z.nullable(JsonObject), parseJson(text, what), what) ?? {};
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    const example = 'a JSON object is wanted, such as {"mac":"02:00:00:00:00:01"}';
    throw new CniError(CODE.INVALID_ENVIRONMENT, error.message, example);
  }
}

/** An attachment's file in the result cache, as libcni writes it. */
const CacheFile = object(() => ({
  kind: z.literal('cniCacheV1'),
  containerId: textOrEmpty,
  /** The configuration list, in base64. */
  config: textOrEmpty,
  ifName: textOrEmpty,
  networkName: textOrEmpty,
  netns: textOrEmpty,
  cniArgs: optional(z.array(z.tuple([z.string(), z.string()])), []),
  capabilityArgs: optional(JsonObject, {}),
  result: optional(JsonObject, {}),
}));
export type CacheFile = z.infer<typeof CacheFile>;

/** Keys of which a bare result has one at least. */
const RESULT_KEYS = ['cniVersion', 'ip4', 'ip6'];

/**
 * Reads a file of the result cache; those of long ago are the bare result. @throws CniError
 * DECODING_FAILURE, INVALID_CONFIG
 */
export function parseCacheFile(text: string): CacheFile | { readonly result: Json } {
  const what = 'corrupt cache entry';
  const json = check(JsonObject, parseJson(text, what), what);
  const isBare = !('kind' in json) && RESULT_KEYS.some((key) => key in json);
  return isBare ? { result: json } : check(CacheFile, json, what);
}

function parseJson(text: string, what: string): unknown {
  try {
    return parseJsonText(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CniError(CODE.DECODING_FAILURE, `${what}: ${reason}`);
  }
}

function check<T>(schema: z.ZodMiniType<T>, value: unknown, what: string): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  throw new CniError(CODE.INVALID_CONFIG, `${what}: ${listFaults(result.error).join('; ')}`);
}
