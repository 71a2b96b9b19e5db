/** The keys that bridge reads, and what follows from them. */
import * as z from 'zod/mini';
import type { Mac } from '#lib/addr/mac.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { macArgument } from '#lib/cni/args.ts';
import { validateIfName } from '#lib/cni/environment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import {
  interfaceKeys,
  interfaceOptions,
  teardownKeys,
  teardownOptions,
} from '#lib/cni/interface-keys.ts';
import {
  addressIfAny,
  flag,
  interfaceMacIfAny,
  object,
  optional,
  prefix,
  textAs,
  tolerant,
} from '#lib/cni/schema.ts';
import type { Environment } from '#lib/sys/process.ts';

const DEFAULT_BRIDGE = 'cni0';

/** 0 and 4095 are reserved by 802.1Q. */
const VLAN_MAX = 4094;

const linkName = textAs((text) => {
  validateIfName(text);
  // The kernel would put a number in its place.
  if (text.includes('%')) throw new CniError(CODE.INVALID_CONFIG, `"${text}" contains a "%"`);
  return text;
});

const vlanKey = (name: string, least: number) =>
  z.pipe(
    z.int(),
    z.transform((id, context) => {
      if (id < least || id > VLAN_MAX) {
        context.issues.push({ code: 'custom', input: id, message: vlanMessage(name, id) });
      }
      return id;
    }),
  );

const vlanMessage = (name: string, id: number): string =>
  name === 'vlan'
    ? `invalid VLAN ID ${id} (must be between 0 and ${VLAN_MAX})`
    : `incorrect trunk ${name} parameter: ${id} (must be between 1 and ${VLAN_MAX})`;

/** One VLAN, a range of them, or both. */
const VlanTrunk = object(() => ({
  id: z.optional(vlanKey('id', 1)),
  minID: z.optional(vlanKey('minID', 1)),
  maxID: z.optional(vlanKey('maxID', 1)),
}));

const Keys = object(() => ({
  ...interfaceKeys(),
  /** Name of the bridge; it is made if there is none. */
  bridge: optional(linkName, DEFAULT_BRIDGE),
  /** Give the bridge the gateway's addresses and let the host forward. */
  isGateway: flag,
  /** Make the bridge the container's default route too; implies isGateway. */
  isDefaultGateway: flag,
  /** Replace another address that the bridge has. */
  forceAddress: flag,
  /** Let the container reach itself through the bridge. */
  hairpinMode: flag,
  /** Make the bridge promiscuous. */
  promiscMode: flag,
  /** Access VLAN of the container's port; 0: none. */
  vlan: optional(vlanKey('vlan', 0), 0),
  /** VLANs that the container's port carries with their tags. */
  vlanTrunk: optional(z.array(VlanTrunk).check(z.maxLength(VLAN_MAX)), []),
  /** Keep the port in the bridge's default VLAN as well. */
  preserveDefaultVlan: flag,
  /** Drop frames whose source is not the container's hardware address. */
  macspoofchk: flag,
  /** Let the container check its IPv6 addresses for duplicates. */
  enabledad: flag,
  /** Leave the container's interface down; without IPAM only. */
  disableContainerInterface: flag,
  /** Forward nothing between this port and other isolated ones. */
  portIsolation: flag,
  runtimeConfig: z.optional(object(() => ({ /** Capability mac. */ mac: interfaceMacIfAny }))),
  args: z.optional(object(() => ({ cni: z.optional(object(() => ({ mac: interfaceMacIfAny }))) }))),
}));

/**
 * The configuration of bridge: its keys, checked against each other, with what follows from them.
 */
export const BridgeConfig = z.pipe(
  Keys,
  z.transform((keys, context) => {
    const refuse = (message: string) =>
      context.issues.push({ code: 'custom', message, input: keys });
    const common = interfaceOptions(keys);
    if (common.ipam !== undefined && keys.disableContainerInterface) {
      refuse('cannot use IPAM when DisableContainerInterface flag is set');
    }
    if (keys.hairpinMode && keys.promiscMode) {
      refuse('cannot set hairpin mode and promiscuous mode at the same time');
    }
    const trunk = new Set<number>();
    for (const item of keys.vlanTrunk) {
      for (const id of trunkIds(item, refuse)) trunk.add(id);
    }
    return {
      ...common,
      bridge: keys.bridge,
      isGateway: keys.isGateway || keys.isDefaultGateway,
      isDefaultGateway: keys.isDefaultGateway,
      forceAddress: keys.forceAddress,
      hairpin: keys.hairpinMode,
      promiscuous: keys.promiscMode,
      vlan: keys.vlan,
      trunk: [...trunk].toSorted((a, b) => a - b),
      preserveDefaultVlan: keys.preserveDefaultVlan,
      macSpoofCheck: keys.macspoofchk,
      dad: keys.enabledad,
      interfaceStaysDown: keys.disableContainerInterface,
      isolated: keys.portIsolation,
      runtimeMac: keys.runtimeConfig?.mac,
      argsMac: keys.args?.cni?.mac,
    };
  }),
);
export type BridgeConfig = z.infer<typeof BridgeConfig>;

/**
 * The keys for DEL and GC: the common ones, and those that name the interface by which the host
 * knows the containers.
 */
export const BridgeTeardown = z.pipe(
  object(() => ({
    ...teardownKeys(),
    bridge: tolerant(linkName, DEFAULT_BRIDGE),
    vlan: tolerant(vlanKey('vlan', 0), 0),
    isGateway: tolerant(flag, false),
    isDefaultGateway: tolerant(flag, false),
    macspoofchk: tolerant(flag, false),
  })),
  z.transform((keys) => ({
    ...teardownOptions(keys),
    bridge: keys.bridge,
    vlan: keys.vlan,
    isGateway: keys.isGateway || keys.isDefaultGateway,
    macSpoofCheck: keys.macspoofchk,
  })),
);
type BridgeTeardown = z.infer<typeof BridgeTeardown>;

/** The keys that name the interface with the gateway's addresses. */
export type GatewayKeys = Pick<BridgeTeardown, 'bridge' | 'vlan' | 'isGateway'>;

function trunkIds(
  { id, minID, maxID }: z.infer<typeof VlanTrunk>,
  refuse: (message: string) => void,
): number[] {
  const ids = id === undefined ? [] : [id];
  if (minID === undefined && maxID === undefined) return ids;
  if (minID === undefined || maxID === undefined) {
    const missing = minID === undefined ? 'minID' : 'maxID';
    refuse(`minID and maxID should be configured simultaneously, ${missing} is missing`);
    return ids;
  }
  if (minID > maxID) refuse('minID is greater than maxID in trunk parameter');
  return [
    ...ids,
    ...Array.from({ length: Math.max(0, maxID - minID + 1) }, (_, index) => minID + index),
  ];
}

/** Whether ports are in VLANs. */
export const usesVlans = ({ vlan, trunk }: BridgeConfig): boolean => vlan !== 0 || trunk.length > 0;

/**
 * The hardware address asked for: capability mac, else args.cni.mac, else MAC in CNI_ARGS.
 * @throws CniError
 */
export function requestedMac(
  { runtimeMac, argsMac }: BridgeConfig,
  env: Environment,
): Mac | undefined {
  const argument = macArgument(env);
  return runtimeMac ?? argsMac ?? argument;
}

const Range = object(() => ({ subnet: prefix, gateway: addressIfAny }));

/** host-local's ranges, as far as they tell the gateways. */
const Ranges = object(() => ({
  ipam: object(() => ({
    subnet: z.optional(prefix),
    gateway: addressIfAny,
    ranges: optional(z.array(z.array(Range)), []),
  })),
}));

/**
 * The gateways' addresses that the bridge has once there is a pod: for each range set one of these.
 * None where the IPAM plugin is not host-local: the keys of other plugins may mean something else.
 */
export function configuredGateways(config: BridgeConfig, json: unknown): Prefix[][] {
  const parsed = z.safeParse(Ranges, json);
  if (config.ipam?.type !== 'host-local' || !parsed.success) return [];
  const { subnet, gateway, ranges } = parsed.data.ipam;
  const sets = [...(subnet === undefined ? [] : [[{ subnet, gateway }]]), ...ranges];
  return sets.map((set) =>
    set.map((range) => new Prefix(range.gateway ?? range.subnet.first.plus(1n), range.subnet.bits)),
  );
}
