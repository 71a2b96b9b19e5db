/** The keys that flannel reads. `delegate` and `ipam` are raw material for the delegate's configuration. */
import * as z from 'zod/mini';
import { isIfName } from '#lib/cni/environment.ts';
import { RouteConfig } from '#lib/cni/result.ts';
import { object, optional } from '#lib/cni/schema.ts';

const Json = z.record(z.string(), z.unknown());

/** What flannel's delegate is called if the configuration does not say. */
export const DEFAULT_DELEGATE = 'bridge';

/** The bridge of the delegate bridge, likewise. */
const DEFAULT_BRIDGE = 'cni0';

export const FlannelConfig = object(() => ({
  /** The file that flanneld writes. */
  subnetFile: optional(z.string(), '/run/flannel/subnet.env'),
  /** Folder of the delegates' configurations, kept from ADD to DEL. */
  dataDir: optional(z.string(), '/var/lib/cni/flannel'),
  /** Base of the delegate's configuration; flannel adds name, ipam and defaults. */
  delegate: optional(
    Json.check(
      z.refine(({ type }) => type === undefined || typeof type === 'string', {
        error: "'delegate' dictionary, if present, must have (string) 'type' field",
      }),
      z.refine((delegate) => !('name' in delegate), {
        error: "'delegate' dictionary must not have 'name' field, it'll be set by flannel",
      }),
      z.refine((delegate) => !('ipam' in delegate), {
        error: "'delegate' dictionary must not have 'ipam' field, it'll be set by flannel",
      }),
    ),
    {},
  ),
  /** Base of the delegate's `ipam`; flannel sets its ranges and adds routes. */
  ipam: optional(
    object(() => ({ routes: optional(z.array(RouteConfig), []) })),
    { routes: [] },
  ),
  /** Handed to the delegate as it is. */
  runtimeConfig: z.optional(Json),
}));
export type FlannelConfig = z.infer<typeof FlannelConfig>;

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
