/** The keys that bandwidth reads: limits of the configuration, else of the runtime. */
import * as z from 'zod/mini';
import { integer, object, optional } from '#lib/cni/schema.ts';

/** The largest token bucket, in bytes: the kernel wants less than 32 bits. */
const BURST_BYTES_MAX = 2 ** 32 - 2;

const KEYS = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const;

const Bandwidth = object(() => ({
  /** Bits per second towards the container; 0: no limit. */
  ingressRate: optional(integer(0), 0),
  /** Bits that may arrive at once. */
  ingressBurst: optional(integer(0), 0),
  /** Bits per second from the container; 0: no limit. */
  egressRate: optional(integer(0), 0),
  /** Bits that may leave at once. */
  egressBurst: optional(integer(0), 0),
}));

/** One direction's limit: how much on average, how much at once. */
export interface Limit {
  readonly bitsPerSecond: number;
  readonly burstBits: number;
}

const Limits = z.pipe(
  Bandwidth,
  z.transform((keys, { issues }) => {
    const limit = (direction: 'ingress' | 'egress'): Limit | undefined => {
      const [rateKey, burstKey] = [`${direction}Rate`, `${direction}Burst`] as const;
      const [rate, burst] = [keys[rateKey], keys[burstKey]];
      const refuse = (key: string, message: string) =>
        issues.push({ code: 'custom', input: keys, path: [key], message });
      if (rate > 0 && burst === 0) refuse(burstKey, 'if rate is set, burst must also be set');
      if (rate === 0 && burst > 0) refuse(rateKey, 'if burst is set, rate must also be set');
      if (burst / 8 > BURST_BYTES_MAX) refuse(burstKey, 'burst cannot be more than 4GB');
      if (rate > 0 && rate < 8) refuse(rateKey, 'rate must be at least 8 bits per second');
      if (burst > 0 && burst < 8) refuse(burstKey, 'burst must be at least 8 bits');
      return rate === 0 ? undefined : { bitsPerSecond: rate, burstBits: burst };
    };
    return { ingress: limit('ingress'), egress: limit('egress') };
  }),
);

/** The four keys wherever they stand; read only where they count. */
const Places = object(() => ({
  ...Object.fromEntries(KEYS.map((key) => [key, z.optional(z.unknown())])),
  /** Capability bandwidth: the same four keys, read if the configuration has none of them. */
  runtimeConfig: z.optional(object(() => ({ bandwidth: z.optional(z.unknown()) }))),
}));

/**
 * The configuration of bandwidth: the limits of the configuration if it has any of the keys, else
 * the runtime's.
 */
export const BandwidthConfig = z.pipe(
  Places,
  z.transform((places, { issues }) => {
    const own = KEYS.filter((key) => places[key] !== undefined);
    const [place, keys] =
      own.length > 0
        ? [[], Object.fromEntries(own.map((key) => [key, places[key]]))]
        : [['runtimeConfig', 'bandwidth'], places.runtimeConfig?.bandwidth ?? {}];
    const limits = z.safeParse(Limits, keys);
    if (limits.success) return limits.data;
    for (const { path, message } of limits.error.issues) {
      issues.push({ code: 'custom', input: keys, path: [...place, ...path], message });
    }
    return z.NEVER;
  }),
);
