/**
 * Network configurations as runtimes send them: the keys that every plugin has (CNI SPEC "Plugin
 * configuration objects").
 */
import * as z from 'zod/mini';
import type { AttachmentKey } from './attachment.ts';
import { isName } from './environment.ts';
import { CniError, CODE } from './error.ts';
import { parseJsonText } from './json.ts';
import { isRecord, object, parseWith, textList, textOrEmpty } from './schema.ts';
import { shorten } from './shorten.ts';
import { DEFAULT_VERSION } from './version.ts';

/** DNS settings for the container, as the specification has them. */
export const Dns = object(() => ({
  nameservers: textList,
  domain: textOrEmpty,
  search: textList,
  options: textList,
}));
export type Dns = z.infer<typeof Dns>;

/** No DNS settings at all. */
export const NO_DNS: Dns = { nameservers: [], domain: '', search: [], options: [] };

/** Whether there is nothing in it. */
export const isEmptyDns = ({ nameservers, domain, search, options }: Dns): boolean =>
  domain === '' && nameservers.length + search.length + options.length === 0;

/**
 * DNS settings that replace those of somebody else: undefined unless a key is there, be it an empty
 * list. An empty domain is none.
 */
export const DnsOverride = z.pipe(
  z.optional(
    object(() => ({
      nameservers: z.optional(z.array(z.string())),
      domain: textOrEmpty,
      search: z.optional(z.array(z.string())),
      options: z.optional(z.array(z.string())),
    })),
  ),
  z.transform((own): Dns | undefined => {
    const { nameservers, domain = '', search, options } = own ?? {};
    const isSet =
      domain !== '' || [nameservers, search, options].some((list) => list !== undefined);
    if (!isSet) return undefined;
    return { nameservers: nameservers ?? [], domain, search: search ?? [], options: options ?? [] };
  }),
);

/** An attachment that is still wanted, in the list that GC gets. */
const ValidAttachment = object(() => ({ containerID: z.string(), ifname: z.string() }));

/** The keys that the library itself reads. */
const NetworkConfig = object(() => ({
  /** Version of the specification that the configuration and the result follow; 0.1.0 if absent. */
  cniVersion: textOrEmpty,
  /** Name of the network. */
  name: textOrEmpty,
  /** The result of the plugins before this one, or of the whole ADD. */
  prevResult: z.optional(z.unknown()),
  /** GC: attachments that are to stay. */
  'cni.dev/valid-attachments': z.optional(z.array(ValidAttachment)),
  /** The valid attachments, under the name that libcni first gave the key. */
  'cni.dev/attachments': z.optional(z.array(ValidAttachment)),
}));

/** A configuration, read as far as every plugin has it in common. */
export interface ParsedConfig {
  /** The whole document. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly cniVersion: string;
  readonly network: string;
  /** Undefined if there is none. */
  readonly prevResult: unknown;
  /** Undefined if the runtime did not say: then only what is provably dead may go. */
  readonly validAttachments: readonly AttachmentKey[] | undefined;
}

/** Parses what came on standard input. @throws CniError DECODING_FAILURE, INVALID_CONFIG */
export function parseConfig(input: Uint8Array): ParsedConfig {
  const json = parseJson(input);
  const config = parseWith(NetworkConfig, json, 'network config');
  if (config.name === '') throw new CniError(CODE.INVALID_CONFIG, 'missing network name');
  if (!isName(config.name)) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      'invalid characters found in network name',
      shorten(config.name),
    );
  }
  return {
    json,
    cniVersion: config.cniVersion || DEFAULT_VERSION,
    network: config.name,
    prevResult: config.prevResult,
    validAttachments: validAttachments(json, config),
  };
}

const failed = (reason: string): CniError =>
  new CniError(CODE.DECODING_FAILURE, `error unmarshall network config: ${reason}`);

function parseJson(input: Uint8Array): Record<string, unknown> {
  const text = Buffer.from(input).toString('utf8');
  if (text.trim() === '') throw failed('unexpected end of JSON input');
  let json: unknown;
  try {
    json = parseJsonText(text);
  } catch (error) {
    throw failed(error instanceof Error ? error.message : String(error));
  }
  if (!isRecord(json)) throw failed('the document must be a JSON object');
  return json;
}

/** A nil list of Go's comes as null and means: nothing is wanted. */
function validAttachments(
  json: Record<string, unknown>,
  config: z.infer<typeof NetworkConfig>,
): readonly AttachmentKey[] | undefined {
  for (const key of ['cni.dev/valid-attachments', 'cni.dev/attachments'] as const) {
    if (json[key] === null) return [];
    const list = config[key];
    if (list) return list.map(({ containerID, ifname }) => ({ containerID, ifName: ifname }));
  }
  return undefined;
}
