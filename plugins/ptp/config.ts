/**
 * The keys that ptp reads: those that plugins with masquerading and IPAM have in common, and none
 * beside.
 */
import * as z from 'zod/mini';
import {
  interfaceKeys,
  interfaceOptions,
  teardownKeys,
  teardownOptions,
} from '#lib/cni/interface-keys.ts';
import { object } from '#lib/cni/schema.ts';

/** The configuration of ptp, with what follows from it. */
export const PtpConfig = z.pipe(object(interfaceKeys), z.transform(interfaceOptions));
export type PtpConfig = z.infer<typeof PtpConfig>;

/** The keys for DEL and GC, with what follows from them. */
export const PtpTeardown = z.pipe(object(teardownKeys), z.transform(teardownOptions));
