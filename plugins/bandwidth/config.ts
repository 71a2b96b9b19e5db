/** The keys that bandwidth reads: limits of the configuration, else of the runtime. */
import * as z from 'zod/mini';
import { integer, object, optional, parseWith } from '#lib/cni/schema.ts';

/** What a token bucket's size, in bytes, has to fit in: 32 bits, and the kernel wants less. */
const BURST_BYTES_MAX = 2 ** 32 - 2;

const KEYS = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const;

/** Read by ADD and CHECK alone: a faulty limit must not hold up DEL. */
const Limit = z.optional(z.unknown());

/** The configuration of bandwidth. */
export const BandwidthConfig = object(() => ({
  /** Bits per second towards the container; 0: no limit. */
  ingressRate: Limit,
  /** Bits that may arrive at once. */
  ingressBurst: Limit,
  /** Bits per second from the container; 0: no limit. */
  egressRate: Limit,
  /** Bits that may leave at once. */
  egressBurst: Limit,
  /** Capability bandwidth: the same four keys, read if the configuration has none of them. */
  runtimeConfig: z.optional(object(() => ({ bandwidth: Limit }))),
}));
export type BandwidthConfig = z.infer<typeof BandwidthConfig>;

const Bandwidth = object(() => ({
  ingressRate: optional(integer(0), 0),
  ingressBurst: optional(integer(0), 0),
  egressRate: optional(integer(0), 0),
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
      const rate = keys[`${direction}Rate`];
      const burst = keys[`${direction}Burst`];
      const refuse = (message: string) =>
        issues.push({ code: 'custom', input: keys, path: [`${direction}Burst`], message });
      if (rate > 0 && burst === 0) refuse('if rate is set, burst must also be set');
      if (rate === 0 && burst > 0) refuse('if burst is set, rate must also be set');
      if (burst / 8 > BURST_BYTES_MAX) refuse('burst cannot be more than 4GB');
      if (rate > 0 && rate < 8) refuse('rate must be at least 8 bits per second');
      if (burst > 0 && burst < 8) refuse('burst must be at least 8 bits');
      return rate === 0 ? undefined : { bitsPerSecond: rate, burstBits: burst };
    };
    return { ingress: limit('ingress'), egress: limit('egress') };
  }),
);

/** The limits for what goes to the container and what comes from it. */
export type Limits = z.infer<typeof Limits>;

/** The limits that count: those of the configuration if it has any of the keys, else the runtime's. @throws CniError INVALID_CONFIG */
export function limits(config: BandwidthConfig): Limits {
  const isOwn = KEYS.some((key) => config[key] !== undefined);
  if (isOwn)
    return parseWith(Limits, Object.fromEntries(KEYS.map((key) => [key, config[key]])), 'limits');
  return parseWith(Limits, config.runtimeConfig?.bandwidth ?? {}, 'runtimeConfig.bandwidth');
}
