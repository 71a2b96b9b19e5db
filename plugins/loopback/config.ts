/** loopback reads no keys of its own: it knows its interface. */
import { object } from '#lib/cni/schema.ts';

/** Any configuration. */
export const LoopbackConfig = object(() => ({}));
