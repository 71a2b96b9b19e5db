/**
 * The keys that all plugins have in common that make interfaces, ask IPAM for addresses and
 * masquerade them.
 */
import * as z from 'zod/mini';
import { DnsOverride } from './config.ts';
import { flag, integer, object, optional, prefix, textOrEmpty, tolerant } from './schema.ts';

/** The largest IPv4 packet. */
const MTU_MAX = 65_535;

/** To be spread into the object of a plugin's keys. */
export const interfaceKeys = () => ({
  /** Masquerade what leaves the container's subnet. */
  ipMasq: flag,
  /** The backend that masquerades; default: nftables if the kernel has it. */
  ipMasqBackend: z.optional(z.enum(['nftables', 'iptables', ''])),
  /** Destinations that see the container's own address even with ipMasq. */
  nonMasqueradeCIDRs: optional(z.array(prefix), []),
  /** MTU of the interfaces, in bytes; 0: the kernel's. */
  mtu: optional(integer(0, MTU_MAX), 0),
  /** The IPAM plugin and its configuration; no type: no addresses. */
  ipam: z.optional(object(() => ({ type: textOrEmpty }))),
  /** DNS settings that replace those of the IPAM plugin. */
  dns: z.optional(DnsOverride),
});
type InterfaceKeys = z.infer<z.ZodMiniObject<ReturnType<typeof interfaceKeys>>>;

/** The options that follow from the common keys. */
export const interfaceOptions = (keys: InterfaceKeys) => ({
  /** Undefined: nothing is masqueraded. */
  masquerade: keys.ipMasq
    ? { backend: keys.ipMasqBackend || undefined, nonMasqueradeCIDRs: keys.nonMasqueradeCIDRs }
    : undefined,
  /** Undefined: the kernel's. */
  mtuBytes: keys.mtu || undefined,
  /** Undefined: no addresses. */
  ipam: keys.ipam?.type ? { type: keys.ipam.type } : undefined,
  dns: keys.dns,
});

/** The common keys for DEL and GC. */
export const teardownKeys = () => ({
  /** Whether there was masquerading to end. */
  ipMasq: tolerant(flag, false),
  /** The IPAM plugin that has the addresses. */
  ipam: tolerant(z.optional(object(() => ({ type: textOrEmpty }))), undefined),
});
type TeardownKeys = z.infer<z.ZodMiniObject<ReturnType<typeof teardownKeys>>>;

/** The options that follow from the keys for DEL and GC. */
export const teardownOptions = ({ ipMasq, ipam }: TeardownKeys) => ({
  isMasqueraded: ipMasq,
  ipam: ipam?.type ? { type: ipam.type } : undefined,
});
