/** What the plugins are configured with, and the chain of a network as a runtime calls it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callBeside, callPlugin, type Side } from './side.ts';

/** A plugin by its executable, with its configuration. */
export interface Plugin {
  readonly name: string;
  readonly config: object;
}

/** A mapping of a host port, as runtimes pass it on. */
interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

const common = { cniVersion: '1.0.0', name: 'cbr0' };

/** The cluster's pods, and those of this node: enough for a thousand. */
const NETWORK = '10.244.0.0/16';
export const SUBNET = '10.244.0.0/20';
const GATEWAY = '10.244.0.1/20';
const NETWORK6 = 'fd00:244::/48';
const SUBNET6 = 'fd00:244:0:1::/64';
const GATEWAY6 = 'fd00:244:0:1::1/64';
const MTU_BYTES = 1450;

/** What pods get. */
interface Connection {
  readonly ipMasq: boolean;
  /** IPv6 as well. */
  readonly isDual?: boolean;
}

/** What connects a pod: flannel, or in a suite without it the bridge that it would delegate to. */
function connecting(side: Side, connection: Connection): Plugin {
  const { ipMasq, isDual = false } = connection;
  const ipam = { dataDir: leasesOf(side) };
  if (!side.hasFlannel) return { name: 'bridge', config: bridgeConfig(connection, ipam) };
  mkdirSync(side.state, { recursive: true });
  const subnetFile = join(side.state, `masq-${ipMasq}-dual-${isDual}.env`);
  const lines = [
    `FLANNEL_NETWORK=${NETWORK}`,
    `FLANNEL_SUBNET=${GATEWAY}`,
    `FLANNEL_MTU=${MTU_BYTES}`,
    // flannel masquerades by the delegate just when flanneld does not.
    `FLANNEL_IPMASQ=${!ipMasq}`,
    ...(isDual ? [`FLANNEL_IPV6_NETWORK=${NETWORK6}`, `FLANNEL_IPV6_SUBNET=${GATEWAY6}`] : []),
  ];
  writeFileSync(subnetFile, `${lines.join('\n')}\n`);
  const delegate = { hairpinMode: true, isDefaultGateway: true };
  const dataDir = join(side.state, 'flannel');
  return {
    name: 'flannel',
    config: { ...common, type: 'flannel', subnetFile, dataDir, ipam, delegate },
  };
}

/** Where the addresses are that a side's pods have. */
export const leasesOf = ({ state }: Side): string => join(state, 'leases');

const bridgeConfig = ({ ipMasq, isDual = false }: Connection, ipam: object) => ({
  ...common,
  type: 'bridge',
  hairpinMode: true,
  isDefaultGateway: true,
  isGateway: true,
  ipMasq,
  mtu: MTU_BYTES,
  ipam: {
    type: 'host-local',
    ...ipam,
    ranges: [[{ subnet: SUBNET }], ...(isDual ? [[{ subnet: SUBNET6 }]] : [])],
    routes: [{ dst: NETWORK }, ...(isDual ? [{ dst: NETWORK6 }] : [])],
  },
});

/** host-local alone, with a range that holds 65,000 addresses. */
export const hostLocal = (dataDir: string): Plugin => ({
  name: 'host-local',
  config: {
    ...common,
    type: 'bridge',
    ipam: { type: 'host-local', dataDir, ranges: [[{ subnet: '10.8.0.0/16' }]] },
  },
});

export const loopback: Plugin = { name: 'loopback', config: { ...common, type: 'loopback' } };

/** portmap behind a plugin that made `prevResult`. */
const portmap = (portMappings: readonly PortMapping[], prevResult: object): Plugin => ({
  name: 'portmap',
  config: { ...common, type: 'portmap', runtimeConfig: { portMappings }, prevResult },
});

/** One mapping of each transport. */
export const mappings = ([tcpPort, udpPort]: Ports): PortMapping[] => [
  { hostPort: tcpPort, containerPort: 80, protocol: 'tcp' },
  { hostPort: udpPort, containerPort: 53, protocol: 'udp' },
];

/** The result that portmap follows when it is called alone, for a pod with an address of each family. */
const dualStack = {
  cniVersion: common.cniVersion,
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
  ips: [
    { address: '10.244.1.9/24', interface: 0 },
    { address: 'fd00:244:1::9/64', interface: 0 },
  ],
};

/** Host ports of a pod: of TCP and of UDP. */
type Ports = readonly [number, number];
export const PORTS: Ports = [8080, 8053];
/** Those of the pod that stays. */
export const OTHER_PORTS: Ports = [9080, 9053];

/** What is called for a pod; these host ports if it maps any. */
export type Subject = (side: Side, ports: Ports) => Plugin;

export const plain: Subject = (side) => connecting(side, { ipMasq: false });
export const masquerading: Subject = (side) => connecting(side, { ipMasq: true });
export const dual: Subject = (side) => connecting(side, { ipMasq: true, isDual: true });
export const mapping: Subject = (_, ports) => portmap(mappings(ports), dualStack);

/** A pod with what it is to get. */
export interface Pod {
  readonly name: string;
  readonly portMappings: readonly PortMapping[];
}

const lo = { ifName: 'lo' } as const;

/** What an ADD of the whole chain took, and what it resulted in: a runtime passes that on to DEL. */
export interface Added {
  readonly wallMs: number;
  readonly result: object;
}

/** ADD of the whole chain, plugin by plugin: loopback, then connecting and portmap. @throws ScriptFailure */
export function addPod(side: Side, { name: pod, portMappings }: Pod): Added {
  const call = { command: 'ADD', pod } as const;
  const first = callPlugin(side, loopback.name, loopback.config, { ...call, ...lo });
  const { name, config } = connecting(side, { ipMasq: true });
  const second = callPlugin(side, name, config, call);
  const chained = portmap(portMappings, JSON.parse(second.stdout) as object);
  const third = callPlugin(side, chained.name, chained.config, call);
  const wallMs = first.wallMs + second.wallMs + third.wallMs;
  return { wallMs, result: JSON.parse(third.stdout) as object };
}

/** DEL of the same, in the other order. @returns milliseconds @throws ScriptFailure */
export function deletePod(side: Side, { name: pod, portMappings }: Pod, result: object): number {
  const call = { command: 'DEL', pod } as const;
  const chained = portmap(portMappings, result);
  const first = callPlugin(side, chained.name, chained.config, call);
  const { name, config } = connecting(side, { ipMasq: true });
  const second = callPlugin(side, name, { ...config, prevResult: result }, call);
  const third = callPlugin(side, loopback.name, loopback.config, { ...call, ...lo });
  return first.wallMs + second.wallMs + third.wallMs;
}

/** ADD of connecting and portmap, beside those of other pods. @returns the result @throws ScriptFailure */
export async function addPodBeside(side: Side, { name: pod, portMappings }: Pod): Promise<object> {
  const call = { command: 'ADD', pod } as const;
  const { name, config } = connecting(side, { ipMasq: true });
  const stdout = await callBeside(side, name, config, call);
  const chained = portmap(portMappings, JSON.parse(stdout) as object);
  return JSON.parse(await callBeside(side, chained.name, chained.config, call)) as object;
}

/** DEL of the same. @throws ScriptFailure */
export async function deletePodBeside(
  side: Side,
  { name: pod, portMappings }: Pod,
  result: object,
): Promise<void> {
  const call = { command: 'DEL', pod } as const;
  const chained = portmap(portMappings, result);
  await callBeside(side, chained.name, chained.config, call);
  const { name, config } = connecting(side, { ipMasq: true });
  await callBeside(side, name, { ...config, prevResult: result }, call);
}
