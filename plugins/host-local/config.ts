/** The keys that host-local reads: its own section `ipam`, what asks for certain addresses; and the files of its index. */
import * as z from 'zod/mini';
import { Address } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { parseArgs } from '#lib/cni/args.ts';
import { CniError, CODE, prefixed } from '#lib/cni/error.ts';
import { parseJsonIfAny } from '#lib/cni/json.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { refuseManyOfFamily, RouteConfig } from '#lib/cni/result.ts';
import {
  address,
  object,
  optional,
  prefix,
  textAs,
  textIfAny,
  textOrEmpty,
  tolerant,
} from '#lib/cni/schema.ts';
import type { SpecVersion } from '#lib/cni/version.ts';
import type { Environment } from '#lib/sys/process.ts';
import { type RangeConfig, RangeSet } from './range-set.ts';

const rangeKeys = () => ({
  /** Network in CIDR notation, without host bits. */
  subnet: z.optional(prefix),
  /** First address to give away; default: the one after the network's. */
  rangeStart: z.optional(address),
  /** Last address to give away; default: the last, for IPv4 the one before the broadcast address. */
  rangeEnd: z.optional(address),
  /** Default: the address after the network's. It is never given away. */
  gateway: z.optional(address),
});

/** More of them than anybody writes: each is compared with each. */
const LIST_LIMIT = 1000;

const RangeSetConfig = z
  .array(object(() => ({ ...rangeKeys(), subnet: prefix })))
  .check(z.maxLength(LIST_LIMIT));

/** An address with or without prefix length, which is not looked at. */
const requestedAddress = textAs((text) =>
  text.includes('/') ? Prefix.parse(text).address : Address.parse(text),
);

/** The configuration of host-local, within that of the plugin that calls it. */
export const HostLocalConfig = object(() => ({
  /** What host-local is configured by. */
  ipam: z.optional(
    object(() => ({
      ...rangeKeys(),
      /** Range sets: one address is given out of each. */
      ranges: optional(z.array(RangeSetConfig).check(z.maxLength(LIST_LIMIT)), []),
      /** Routes for the container, passed on as they are. */
      routes: optional(z.array(RouteConfig), []),
      /** Folder of the reservations; default /var/lib/cni/networks. */
      dataDir: textOrEmpty,
      /** A file like /etc/resolv.conf, passed on as DNS settings. */
      resolvConf: textOrEmpty,
    })),
  ),
  runtimeConfig: z.optional(
    object(() => ({
      /** Capability ipRanges: range sets, before those of `ipam`. */
      ipRanges: optional(z.array(RangeSetConfig).check(z.maxLength(LIST_LIMIT)), []),
      /** Capability ips: addresses asked for. */
      ips: optional(z.array(requestedAddress).check(z.maxLength(LIST_LIMIT)), []),
    })),
  ),
  args: z.optional(
    object(() => ({
      cni: z.optional(
        object(() => ({
          /** Addresses asked for. */
          ips: optional(z.array(requestedAddress).check(z.maxLength(LIST_LIMIT)), []),
        })),
      ),
    })),
  ),
}));
export type HostLocalConfig = z.infer<typeof HostLocalConfig>;

/** Where reservations are kept if the configuration does not say. */
const DEFAULT_DATA_DIR = '/var/lib/cni/networks';

/** What DEL and GC read. */
export const HostLocalTeardown = object(() => ({
  ipam: tolerant(z.optional(object(() => ({ dataDir: textOrEmpty }))), undefined),
}));
export type HostLocalTeardown = z.infer<typeof HostLocalTeardown>;

/** Where a network's reservations are: its folder in that of all networks. */
export interface NetworkFolder {
  readonly dataDir: string;
  readonly network: string;
}

/** The folder that a call is about. */
export const networkFolder = ({
  config: { ipam },
  network,
}: Pick<Call<HostLocalTeardown>, 'config' | 'network'>): NetworkFolder => ({
  dataDir: ipam?.dataDir || DEFAULT_DATA_DIR,
  network,
});

/**
 * The range sets in the order that numbers them: capability ipRanges, the old keys directly in `ipam`, `ranges`.
 * @throws CniError INVALID_CONFIG
 */
export function rangeSets(
  { ipam, runtimeConfig }: HostLocalConfig,
  cniVersion: SpecVersion,
): RangeSet[] {
  if (ipam === undefined) throw invalid("IPAM config missing 'ipam' key");
  const { subnet } = ipam;
  const old: RangeConfig[][] = subnet === undefined ? [] : [[{ ...ipam, subnet }]];
  const configs = [...(runtimeConfig?.ipRanges ?? []), ...old, ...ipam.ranges];
  if (configs.length === 0) throw invalid('no IP ranges specified');
  const sets = configs.map((config, index) => rangeSet(config, index));
  refuseManyOfFamily(
    sets.map(({ family }) => family),
    cniVersion,
  );
  refuseOverlaps(sets);
  return sets;
}

function rangeSet(config: readonly RangeConfig[], index: number): RangeSet {
  try {
    return new RangeSet(config);
  } catch (error) {
    throw prefixed(`invalid range set ${index}`, error);
  }
}

function refuseOverlaps(sets: readonly RangeSet[]): void {
  for (const [index, set] of sets.entries()) {
    const other = sets.findIndex((candidate, number) => number > index && candidate.overlaps(set));
    if (other >= 0) throw invalid(`range set ${index} overlaps with ${other}`);
  }
}

/** Addresses asked for, in CNI_ARGS, args.cni.ips and the capability ips: they add up. @throws CniError */
export function requestedAddresses(
  { args, runtimeConfig }: HostLocalConfig,
  env: Environment,
): Address[] {
  const { IP } = parseArgs(env['CNI_ARGS'] ?? '', ['IP']);
  return distinct([
    ...(IP ? [parseArgument(IP)] : []),
    ...(args?.cni?.ips ?? []),
    ...(runtimeConfig?.ips ?? []),
  ]);
}

function parseArgument(text: string): Address {
  const result = z.safeParse(requestedAddress, text);
  if (result.success) return result.data;
  throw new CniError(
    CODE.INVALID_ENVIRONMENT,
    `ARGS: IP="${text}" is not an IP address`,
    'from CNI_ARGS',
  );
}

const invalid = (message: string): CniError => new CniError(CODE.INVALID_CONFIG, message);

/** The evidence of an owner in a file of the index. */
const EvidenceEntry = object(() => ({
  boot: z.string(),
  netns: textIfAny,
  guarded: z.boolean(),
}));
export type EvidenceEntry = z.infer<typeof EvidenceEntry>;

/** A file of the index: who has which addresses, each with the time at which its file was written. */
const IndexEntry = object(() => ({
  containerID: z.string(),
  ifname: z.string(),
  reserved: z.array(object(() => ({ address, writtenNs: textAs((text) => BigInt(text)) }))),
  evidence: z.optional(EvidenceEntry),
}));

/** Reads a file of the index; undefined if it is corrupt. */
export function parseIndexEntry(text: string): z.infer<typeof IndexEntry> | undefined {
  return z.safeParse(IndexEntry, parseJsonIfAny(text)).data;
}
