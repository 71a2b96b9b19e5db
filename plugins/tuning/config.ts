/** The keys that tuning reads: the settings of the configuration, and those that override them. */
import * as z from 'zod/mini';
import { macArgument } from '#lib/cni/args.ts';
import { duplicateKeys } from '#lib/cni/duplicate-keys.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import {
  integer,
  interfaceMacIfAny,
  macIfAny,
  object,
  textIfAny,
  textOrEmpty,
  tolerant,
} from '#lib/cni/schema.ts';
import type { LinkAttributes } from './link-attributes.ts';
import { type Sysctl, sysctlName } from './sysctl.ts';

const DEFAULT_DATA_DIR = '/run/cni/tuning';

const INT32_MAX = 0x7fff_ffff;

/** The keys for DEL and GC. */
export const TuningTeardown = object(() => ({ dataDir: tolerant(textOrEmpty, '') }));

/** The folder of the backups. */
export const backupFolder = ({ dataDir }: { readonly dataDir: string }): string =>
  dataDir || DEFAULT_DATA_DIR;

/** Keys of the configuration that args.cni may have too. */
const tunables = {
  /**
   * Kernel parameters below net, such as net.core.somaxconn, and their values; IFNAME in a name is
   * the interface's.
   */
  sysctl: z.optional(z.record(z.string(), z.string())),
  /** Hardware address of the container's interface. */
  mac: interfaceMacIfAny,
  /** Make the interface promiscuous; false leaves it as it is. */
  promisc: z.optional(z.boolean()),
  /** MTU of the interface, in bytes; 0 leaves it as it is. */
  mtu: z.optional(integer(0, INT32_MAX)),
  /** Whether the interface receives all multicast frames. */
  allmulti: z.optional(z.boolean()),
  /** How many packets may wait to be sent by the interface. */
  txQLen: z.optional(integer(0, INT32_MAX)),
};

export const TuningConfig = object(() => ({
  ...tunables,
  /** Folder of the backups; default /run/cni/tuning. */
  dataDir: textOrEmpty,
  runtimeConfig: z.optional(object(() => ({ /** Capability mac. */ mac: interfaceMacIfAny }))),
  args: z.optional(object(() => ({ cni: z.optional(object(() => tunables)) }))),
}));

export type TuningConfig = z.infer<typeof TuningConfig>;

/** A backup: the former values of an interface, under the names of their keys, and its owner. */
export const BackupFile = object(() => ({
  mac: macIfAny,
  promisc: z.optional(z.boolean()),
  mtu: z.optional(integer(1)),
  allmulti: z.optional(z.boolean()),
  txQLen: z.optional(integer(0)),
  /** The reference plugin skips this key. */
  cniSuite: z.optional(object(() => ({ network: z.string(), sandbox: textIfAny }))),
}));

/** The settings that ADD makes and CHECK compares. */
export interface Settings {
  readonly sysctls: readonly Sysctl[];
  readonly wanted: LinkAttributes;
}

/**
 * The settings of args.cni, else of the runtime's capability, else of CNI_ARGS, else of the
 * configuration. @throws CniError
 */
export function settings({
  config: keys,
  input,
  env,
  attachment,
}: AttachmentCall<TuningConfig>): Settings {
  refuseDuplicates(input);
  const overrides = keys.args?.cni ?? {};
  const argument = macArgument(env);
  return {
    sysctls: merge({ own: keys.sysctl, overrides: overrides.sysctl }, attachment.ifName),
    wanted: {
      mac: overrides.mac ?? keys.runtimeConfig?.mac ?? argument ?? keys.mac,
      promisc: (overrides.promisc ?? keys.promisc) || undefined,
      mtu: (overrides.mtu ?? keys.mtu) || undefined,
      allmulti: overrides.allmulti ?? keys.allmulti,
      txQLen: overrides.txQLen ?? keys.txQLen,
    },
  };
}

/** Refuses keys that come twice. The parser keeps the last one, so the text has to be searched. */
function refuseDuplicates(input: Uint8Array): void {
  for (const path of duplicateKeys(Buffer.from(input).toString('utf8'))) {
    const [key = '', ...place] = path.toReversed();
    const name = place.toReversed().join('.').toLowerCase();
    if (name === 'sysctl' || name === 'args.cni.sysctl') throw duplicated(`"${key}" comes twice`);
  }
}

const duplicated = (details: string): CniError =>
  new CniError(CODE.INVALID_CONFIG, 'duplicated sysctl keys are not allowed', details);

/** Values of parameters by their keys. */
type Values = Readonly<Record<string, string>>;

/** The parameters of the configuration and of args.cni, which win, however a name is spelt. */
function merge(
  { own = {}, overrides = {} }: Partial<Readonly<Record<'own' | 'overrides', Values | undefined>>>,
  ifName: string,
): Sysctl[] {
  return [...new Map([...byName(own, ifName), ...byName(overrides, ifName)]).values()];
}

function byName(values: Values, ifName: string): Map<string, Sysctl> {
  const sysctls = new Map<string, Sysctl>();
  for (const [key, value] of Object.entries(values)) {
    const name = sysctlName(key, ifName);
    const other = sysctls.get(name)?.key;
    if (other !== undefined) throw duplicated(`"${other}" and "${key}" are the same`);
    sysctls.set(name, { key, name, value });
  }
  return sysctls;
}
