/** The configuration that flannel builds for its delegate out of its own and subnet.env. */
import { Prefix } from '#lib/addr/prefix.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { encodeRoute } from '#lib/cni/result.ts';
import { isRecord } from '#lib/cni/schema.ts';
import { DEFAULT_DELEGATE, delegateType, type FlannelConfig } from './config.ts';
import type { SubnetEnv } from '#lib/flannel/subnet-env.ts';

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * The delegate's configuration for ADD. Keys of `delegate` win over what follows from subnet.env.
 */
export function delegateConfig(call: Call<FlannelConfig>, env: SubnetEnv): Json {
  const { config } = call;
  const type = delegateType(config);
  const base = { ...config.delegate };
  const built = {
    ipMasq: !env.ipMasq,
    mtu: env.mtuBytes,
    ...(type === DEFAULT_DELEGATE ? { isGateway: true } : {}),
    ...base,
    ...frame(call),
    type,
    ipam: {
      // Keys of `ipam` win, even with an empty value.
      type: 'host-local',
      ...config.ipam,
      ranges: env.subnets.map((subnet) => [{ subnet: subnet.toString() }]),
      routes: [
        ...config.ipam.routes.map(encodeRoute),
        ...env.networks.map((dst) => ({ dst: dst.toString() })),
      ],
    },
  };
  return { ...built, ...exemptions(built, env.networks) };
}

/**
 * If the delegate masquerades, the cluster's networks are exempt: pods of other nodes see a pod's
 * own address.
 */
function exemptions({ ipMasq, ...base }: { ipMasq: unknown }, networks: readonly Prefix[]): Json {
  if (ipMasq !== true) return {};
  const own = (base as Json)['nonMasqueradeCIDRs'];
  const given: unknown[] = Array.isArray(own) ? own : [];
  return { nonMasqueradeCIDRs: [...new Set([...given, ...networks.map(String)])] };
}

/** Any valid range will do for DEL and GC: this one is for examples (RFC 5737). */
const NO_SUBNET = Prefix.parse('192.0.2.0/24');

/**
 * A delegate's configuration for DEL or GC if the saved one is lost, with or without subnet.env.
 */
export function rebuiltConfig(call: Call<FlannelConfig>, env: SubnetEnv | undefined): Json {
  const fallback: SubnetEnv = { networks: [], subnets: [NO_SUBNET], mtuBytes: 0, ipMasq: false };
  return delegateConfig(call, env ?? fallback);
}

/** The keys that name the network, and those that the runtime adds. */
function frame({ network, config, json }: Call<FlannelConfig>): Json {
  const version = Object.entries(json).findLast(([key]) => key.toLowerCase() === 'cniversion')?.[1];
  return {
    name: network,
    ...(version ? { cniVersion: version } : {}),
    ...(config.runtimeConfig === undefined ? {} : { runtimeConfig: config.runtimeConfig }),
  };
}

/** The configuration with the runtime's keys about attachments, which are not saved. */
export function withRuntimeKeys(config: Json, { json }: Pick<Call<unknown>, 'json'>): Json {
  const keys = ['prevResult', 'cni.dev/valid-attachments', 'cni.dev/attachments'];
  const present = keys.filter((key) => json[key] !== undefined).map((key) => [key, json[key]]);
  return { ...config, ...Object.fromEntries(present) };
}

/** Compact JSON with sorted keys, as the reference plugin saves it. */
export function encodeConfig(config: Json): string {
  return JSON.stringify(sorted(config));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const keys = Object.keys(value).toSorted();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}
