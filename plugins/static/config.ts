/**
 * The keys that static reads: addresses of its section `ipam`, of CNI_ARGS, of `args`, of the
 * capability `ips`.
 */
import * as z from 'zod/mini';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { parseArgs } from '#lib/cni/args.ts';
import { Dns, NO_DNS } from '#lib/cni/config.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { refuseManyOfFamily, type Result, type ResultIp, RouteConfig } from '#lib/cni/result.ts';
import { addressIfAny, object, optional, textAs } from '#lib/cni/schema.ts';
import { shorten } from '#lib/cni/shorten.ts';
import type { Environment } from '#lib/sys/process.ts';

const cidr = (sentence: string) =>
  textAs((text) => {
    const prefix = parseIfAny(() => Prefix.parse(text));
    if (prefix === undefined) throw new Error(`${sentence}, got: '${text}'`);
    return prefix;
  });

function parseIfAny<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    // The caller reports it in its own words.
    return undefined;
  }
}

const ips = optional(z.array(cidr("an entry in the 'ips' field is NOT in CIDR notation")), []);

/** The configuration of static, within that of the plugin that calls it. */
export const StaticConfig = object(() => ({
  /** static's own section. */
  ipam: z.optional(
    object(() => ({
      /** The addresses, in the order of the result. */
      addresses: optional(
        z.array(
          object(() => ({
            /** With the length of its subnet. */
            address: cidr("the 'address' field is expected to be in CIDR notation"),
            /** The gateway of routes that name none. */
            gateway: addressIfAny,
          })),
        ),
        [],
      ),
      /** Routes for the container, passed on as they are. */
      routes: optional(z.array(RouteConfig), []),
      /** DNS settings, passed on as they are. */
      dns: optional(Dns, NO_DNS),
    })),
  ),
  runtimeConfig: z.optional(object(() => ({ /** Capability ips: replaces all addresses. */ ips }))),
  args: z.optional(
    object(() => ({
      cni: z.optional(
        object(() => ({ /** Replaces the addresses of `ipam` and CNI_ARGS. */ ips })),
      ),
    })),
  ),
}));
export type StaticConfig = z.infer<typeof StaticConfig>;

/** The result of ADD. @throws CniError INVALID_CONFIG, INVALID_ENVIRONMENT */
export function staticAnswer({
  config,
  env,
  cniVersion,
}: Pick<Call<StaticConfig>, 'config' | 'env' | 'cniVersion'>): Result {
  const { ipam } = config;
  if (ipam === undefined) {
    throw new CniError(CODE.INVALID_CONFIG, "IPAM config missing 'ipam' key");
  }
  const own = withArguments(ipam.addresses, env);
  const replaced = [config.runtimeConfig?.ips, config.args?.cni?.ips].find((list) => list?.length);
  const all = replaced?.map((address): ResultIp => ({ address })) ?? own;
  refuseManyOfFamily(
    all.map(({ address }) => address.family),
    cniVersion,
  );
  return { interfaces: [], ips: all, routes: ipam.routes, dns: ipam.dns };
}

/**
 * IP in CNI_ARGS adds addresses; each of GATEWAY is that of every address in whose subnet it is.
 */
function withArguments(addresses: readonly ResultIp[], env: Environment): ResultIp[] {
  const { IP = '', GATEWAY = '' } = parseArgs(env['CNI_ARGS'] ?? '', ['IP', 'GATEWAY']);
  const added = list(IP).map((text): ResultIp => ({ address: parseArgument(text) }));
  const gateways = list(GATEWAY).map(parseGateway);
  return [...addresses, ...added].map(({ address, gateway }) => ({
    address,
    gateway: gateways.findLast((candidate) => address.contains(candidate)) ?? gateway,
  }));
}

const list = (text: string): string[] =>
  text === '' ? [] : text.split(',').map((item) => item.trim());

function parseArgument(text: string): Prefix {
  const prefix = parseIfAny(() => Prefix.parse(text));
  if (prefix !== undefined) return prefix;
  throw invalid(`the 'ip' field is expected to be in CIDR notation, got: '${shorten(text)}'`);
}

function parseGateway(text: string): Address {
  const gateway = parseIfAny(() => Address.parse(text));
  if (gateway !== undefined) return gateway;
  throw invalid(`invalid gateway address: ${shorten(text)}`);
}

const invalid = (message: string): CniError =>
  new CniError(CODE.INVALID_ENVIRONMENT, message, 'from the environment variable CNI_ARGS');
