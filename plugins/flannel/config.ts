/**
 * The keys that flannel reads. `delegate` and `ipam` are raw material for the delegate's
 * configuration.
 */
import * as z from 'zod/mini';
import { isIfName } from '#lib/cni/environment.ts';
import { RouteConfig } from '#lib/cni/result.ts';
import { object, optional, tolerant } from '#lib/cni/schema.ts';

const Json = z.record(z.string(), z.unknown());

/** The delegate's type if the configuration names none. */
export const DEFAULT_DELEGATE = 'bridge';

/** The bridge of the delegate bridge, likewise. */
const DEFAULT_BRIDGE = 'cni0';

const DEFAULT_SUBNET_FILE = '/run/flannel/subnet.env';
const DEFAULT_DATA_DIR = '/var/lib/cni/flannel';

const Delegate = Json.check(
  z.refine(({ type }) => type === undefined || typeof type === 'string', {
    error: "'delegate' dictionary, if present, must have (string) 'type' field",
  }),
  z.refine((delegate) => !('name' in delegate), {
    error: "'delegate' dictionary must not have 'name' field, it'll be set by flannel",
  }),
  z.refine((delegate) => !('ipam' in delegate), {
    error: "'delegate' dictionary must not have 'ipam' field, it'll be set by flannel",
  }),
);

const Ipam = object(() => ({ routes: optional(z.array(RouteConfig), []) }));

export const FlannelConfig = object(() => ({
  /** The file that flanneld writes. */
  subnetFile: optional(z.string(), DEFAULT_SUBNET_FILE),
  /** Folder of the delegates' configurations, kept from ADD to DEL. */
  dataDir: optional(z.string(), DEFAULT_DATA_DIR),
  /** Base of the delegate's configuration; flannel adds name, ipam and defaults. */
  delegate: optional(Delegate, {}),
  /** Base of the delegate's `ipam`; flannel sets its ranges and adds routes. */
  ipam: optional(Ipam, { routes: [] }),
  /** Handed to the delegate as it is. */
  runtimeConfig: z.optional(Json),
}));
export type FlannelConfig = z.infer<typeof FlannelConfig>;

/** The keys for DEL and GC: all, since the saved configuration may be lost. */
export const FlannelTeardown = object(() => ({
  subnetFile: tolerant(z.string(), DEFAULT_SUBNET_FILE),
  dataDir: tolerant(z.string(), DEFAULT_DATA_DIR),
  delegate: tolerant(Delegate, {}),
  ipam: tolerant(Ipam, { routes: [] }),
  runtimeConfig: tolerant(z.optional(Json), undefined),
}));

/** The delegate's type. */
export const delegateType = ({ delegate }: FlannelConfig): string =>
  textOr(delegate['type'], DEFAULT_DELEGATE);

const textOr = (value: unknown, fallback: string): string =>
  typeof value === 'string' ? value : fallback;

/** The bridge that the delegate uses; undefined if it uses none. */
export function delegateBridge(config: FlannelConfig): string | undefined {
  if (delegateType(config) !== DEFAULT_DELEGATE) return undefined;
  const name = textOr(config.delegate['bridge'], DEFAULT_BRIDGE);
  // A name that no interface can have is the delegate's to refuse.
  return isIfName(name) ? name : undefined;
}
