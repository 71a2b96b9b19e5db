/** Who takes part: two nodes with two pods each, a host outside the cluster, one LAN for all. */

/** The whole cluster's pods. */
export const CLUSTER = '10.244.0.0/16';

/** A network for examples (RFC 5737): nobody's real one. */
export const LAN = '192.0.2.0/24';

/** Prefix length of the LAN's addresses. */
export const LAN_BITS = 24;

/** What flanneld writes for its backend host-gw, which wraps nothing: the LAN's own. */
export const MTU_BYTES = 1500;

/** A machine on the LAN; its name is that of its network namespace. */
export interface Host {
  readonly name: string;
  /** Its address on the LAN. */
  readonly address: string;
}

/** A machine with pods. */
export interface Node extends Host {
  /** Its pods' subnet, and the bridge's address in it, which subnet.env has. */
  readonly subnet: string;
  readonly gateway: string;
  /** Its subnet.env and all that the plugins keep. */
  readonly folder: string;
  /** Names of its pods, which are those of their network namespaces and their container IDs. */
  readonly pods: readonly [string, string];
}

const node = (number: number, pods: Node['pods']): Node => ({
  name: `node${number}`,
  address: `192.0.2.${number}`,
  subnet: `10.244.${number}.0/24`,
  gateway: `10.244.${number}.1/24`,
  folder: `/run/cni-demo/node${number}`,
  pods,
});

/** The nodes. */
export const NODES = [
  node(1, ['pod-a', 'pod-b']),
  node(2, ['pod-c', 'pod-d']),
] as const satisfies Node[];

/** A host that knows nothing of pods: it has no route to them. */
export const OUTSIDE: Host = { name: 'outside', address: '192.0.2.100' };
