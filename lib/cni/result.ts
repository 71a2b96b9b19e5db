/**
 * Results: what ADD made, in the shape of each version of the specification, and the way between
 * the shapes.
 */
import * as z from 'zod/mini';
import type { Address, Family } from '#lib/addr/address.ts';
import type { Mac } from '#lib/addr/mac.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { Dns, isEmptyDns, NO_DNS } from './config.ts';
import { CniError, CODE } from './error.ts';
import {
  addressIfAny,
  integer,
  isRecord,
  macIfAny,
  object,
  optional,
  parseWith,
  prefix,
  textIfAny,
  textOrEmpty,
} from './schema.ts';
import { shorten } from './shorten.ts';
import { isAtLeast, isSpecVersion, type SpecVersion } from './version.ts';

const uint32IfAny = z.optional(integer(0, 0xffff_ffff));

/**
 * A route for the container; `gw` absent means the address's gateway, and without one the link
 * itself.
 */
export const RouteConfig = object(() => ({
  dst: prefix,
  gw: addressIfAny,
  mtu: uint32IfAny,
  advmss: uint32IfAny,
  priority: uint32IfAny,
  table: uint32IfAny,
  scope: z.optional(integer(0, 255)),
}));

/** A route of a result. */
export interface ResultRoute {
  readonly dst: Prefix;
  readonly gw?: Address | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
}

/**
 * An interface of a result: in the host, or in a container if it has a `sandbox`, the path of its
 * namespace.
 */
export interface ResultInterface {
  readonly name: string;
  readonly mac?: Mac | undefined;
  readonly mtu?: number | undefined;
  readonly sandbox?: string | undefined;
  readonly socketPath?: string | undefined;
  readonly pciID?: string | undefined;
}

/** An address of a result; `interface` is an index into the interfaces, absent when unspecified. */
export interface ResultIp {
  readonly address: Prefix;
  readonly gateway?: Address | undefined;
  readonly interface?: number | undefined;
}

/** A result in the newest shape. */
export interface Result {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
}

/** A result with nothing in it. */
export const EMPTY_RESULT: Result = { interfaces: [], ips: [], routes: [], dns: NO_DNS };

const InterfaceSchema = object(() => ({
  name: textOrEmpty,
  mac: macIfAny,
  mtu: uint32IfAny,
  sandbox: textIfAny,
  socketPath: textIfAny,
  pciID: textIfAny,
}));

const IpSchema = object(() => ({
  address: prefix,
  gateway: addressIfAny,
  interface: z.optional(z.int()),
}));

/** 0.3.0 and later; `ips[].version` of 0.x says nothing that the address does not. */
const ListShape = object(() => ({
  interfaces: optional(z.array(InterfaceSchema), []),
  ips: optional(z.array(IpSchema), []),
  routes: optional(z.array(RouteConfig), []),
  dns: optional(Dns, NO_DNS),
}));

const FamilyShape = object(() => ({
  ip: prefix,
  gateway: addressIfAny,
  routes: optional(z.array(RouteConfig), []),
}));

/** 0.1.0 and 0.2.0: one address a family. */
const FamiliesShape = object(() => ({
  ip4: z.optional(FamilyShape),
  ip6: z.optional(FamilyShape),
  dns: optional(Dns, NO_DNS),
}));

/** Versions whose results have one shape: a result of another family is not what was asked for. */
const SHAPES: readonly (readonly SpecVersion[])[] = [
  ['0.1.0', '0.2.0'],
  ['0.3.0', '0.3.1', '0.4.0'],
  ['1.0.0', '1.1.0'],
];

/**
 * Reads a result that a runtime passes on. Without a version of its own it is taken to be in the
 * configuration's, and one of another family of versions is refused. `what` names it in errors.
 * @throws CniError INVALID_CONFIG
 */
export function parseResult(json: unknown, configVersion: SpecVersion, what: string): Result {
  const shape = SHAPES.find((versions) => versions.includes(configVersion)) ?? [];
  const own = ownVersion(json) || configVersion;
  if (!shape.some((version) => version === own)) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      `Invalid ${what}: result type supports [${shape.join(' ')}] but unmarshalled CNIVersion is ${shorten(JSON.stringify(own))}`,
    );
  }
  if (shape.includes('0.2.0')) return fromFamilies(parseWith(FamiliesShape, json ?? {}, what));
  return parseWith(ListShape, json ?? {}, what);
}

/**
 * Reads a result in whatever version it says it is; without one it is taken to be in `assumed`. A
 * result that a plugin printed or a runtime kept may be older than the configuration.
 * @throws CniError INVALID_CONFIG
 */
export function parseResultOfAnyVersion(json: unknown, assumed: SpecVersion, what: string): Result {
  const own = ownVersion(json);
  return parseResult(json, typeof own === 'string' && isSpecVersion(own) ? own : assumed, what);
}

function ownVersion(json: unknown): unknown {
  if (!isRecord(json)) return undefined;
  const key = Object.keys(json).findLast((name) => name.toLowerCase() === 'cniversion');
  return key === undefined ? undefined : json[key];
}

function fromFamilies({ ip4, ip6, dns }: z.infer<typeof FamiliesShape>): Result {
  const families = [ip4, ip6].filter((family) => family !== undefined);
  return {
    interfaces: [],
    ips: families.map(({ ip, gateway }) => ({ address: ip, gateway })),
    routes: families.flatMap(({ routes }) => routes),
    dns,
  };
}

/**
 * The JSON document of a result in the shape of a version: four spaces, no newline at the end.
 * @throws CniError
 */
export function encodeResult(result: Result, cniVersion: string): string {
  const version = isSpecVersion(cniVersion) ? cniVersion : '1.1.0';
  const document = isAtLeast(version, '0.3.0')
    ? toLists(result, version)
    : toFamilies(result, version);
  return JSON.stringify(document, null, 4);
}

/** Keys in the order in which the reference plugins print them: alphabetical since 1.0.0. */
function toLists({ interfaces, ips, routes, dns }: Result, version: SpecVersion) {
  const sorted = isAtLeast(version, '1.0.0');
  const lists = {
    interfaces: nonEmpty(interfaces.map((link) => encodeInterface(link, version))),
    ips: nonEmpty(
      ips.map((ip) =>
        sorted ? encodeIp(ip) : { version: String(ip.address.family), ...encodeIp(ip) },
      ),
    ),
    routes: nonEmpty(routes.map(encodeRoute)),
  };
  if (!sorted) return { cniVersion: version, ...lists, dns: encodeDns(dns) };
  const names = isEmptyDns(dns) ? {} : { dns: encodeDns(dns) };
  return { cniVersion: version, ...names, ...lists };
}

function encodeInterface(link: ResultInterface, version: SpecVersion) {
  const { name, mac, sandbox } = link;
  if (!isAtLeast(version, '1.0.0')) return { name, mac, sandbox: sandbox || undefined };
  const added = isAtLeast(version, '1.1.0');
  return {
    mac,
    mtu: added ? link.mtu || undefined : undefined,
    name,
    pciID: added ? link.pciID || undefined : undefined,
    sandbox: sandbox || undefined,
    socketPath: added ? link.socketPath || undefined : undefined,
  };
}

const encodeIp = ({ address, gateway, interface: index }: ResultIp) => ({
  address: address.toString(),
  gateway: gateway?.toString(),
  interface: index,
});

/**
 * A route as JSON, without the values that mean "not set". Table 0 and scope 0 do not mean that.
 */
export const encodeRoute = ({ dst, gw, mtu, advmss, priority, table, scope }: ResultRoute) => ({
  dst: dst.toString(),
  gw: gw?.toString(),
  mtu: mtu || undefined,
  advmss: advmss || undefined,
  priority: priority || undefined,
  table,
  scope,
});

const encodeDns = ({ nameservers, domain, search, options }: Dns) => ({
  nameservers: nonEmpty(nameservers),
  domain: domain || undefined,
  search: nonEmpty(search),
  options: nonEmpty(options),
});

const nonEmpty = <T>(list: readonly T[]): readonly T[] | undefined =>
  list.length === 0 ? undefined : list;

/** Only the first address of each family survives, and the routes of those families. */
function toFamilies({ ips, routes, dns }: Result, cniVersion: SpecVersion) {
  const family = (number: Family) => {
    const first = ips.find(({ address }) => address.family === number);
    if (first === undefined) return undefined;
    return {
      ip: first.address.toString(),
      gateway: first.gateway?.toString(),
      routes: nonEmpty(
        routes
          .filter(({ dst }) => dst.family === number)
          .map(({ dst, gw }) => ({ dst: dst.toString(), gw: gw?.toString() })),
      ),
    };
  };
  const [ip4, ip6] = [family(4), family(6)];
  requireShape(ips, cniVersion);
  return { cniVersion, ip4, ip6, dns: encodeDns(dns) };
}

/** Results before 0.3.0 have no shape without an address. @throws CniError INVALID_CONFIG */
export function requireShape(ips: readonly ResultIp[], cniVersion: SpecVersion): void {
  if (isAtLeast(cniVersion, '0.3.0') || ips.length > 0) return;
  throw new CniError(CODE.INVALID_CONFIG, 'cannot convert: no valid IP addresses');
}

/** Results before 0.3.0 hold one address a family. @throws CniError INVALID_CONFIG */
export function refuseManyOfFamily(families: readonly Family[], cniVersion: SpecVersion): void {
  if (isAtLeast(cniVersion, '0.3.0') || new Set(families).size === families.length) return;
  const message = `CNI version ${cniVersion} does not support more than 1 address per family`;
  throw new CniError(CODE.INVALID_CONFIG, message);
}
