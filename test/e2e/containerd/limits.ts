/** What the kernel holds of a pod's limits, as `tc` tells it. */
import type { Machine } from './machine.ts';
import type { Pod } from './pod.ts';

interface Qdisc {
  readonly kind: string;
  readonly dev: string;
  readonly options: { readonly rate?: number };
}

/** Rates of a pod's token buckets: on the node's end of its veth, and on the device that its packets are led through. */
export interface Limits {
  /** Bytes a second to the pod; undefined: no token bucket. */
  readonly ingress: number | undefined;
  /** Bytes a second from the pod; undefined: none, or its packets are not led there. */
  readonly egress: number | undefined;
}

/** The queueing disciplines of all the node's links. */
export async function qdiscs(machine: Machine): Promise<Qdisc[]> {
  return JSON.parse(await machine.run('tc', '-j', 'qdisc', 'show')) as Qdisc[];
}

/** A pod's limits. @throws Error if the node has no end of its veth */
export async function limitsOf(machine: Machine, pod: Pod): Promise<Limits> {
  const veth = await hostVeth(machine, pod);
  const all = await qdiscs(machine);
  const rate = (dev: string | undefined) =>
    all.find((qdisc) => qdisc.dev === dev && qdisc.kind === 'tbf')?.options.rate;
  const filters = await machine.run('tc', 'filter', 'show', 'dev', veth, 'parent', 'ffff:');
  const [, ifb] = /mirred \(Egress Redirect to device ([^)]+)\)/.exec(filters) ?? [];
  return { ingress: rate(veth), egress: rate(ifb) };
}

interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly link_index?: number;
}

async function hostVeth(machine: Machine, pod: Pod): Promise<string> {
  const [inside] = (await machine.node.ip('link show eth0', machine.netns(pod.netns))) as Link[];
  const links = (await machine.node.ip('link show')) as Link[];
  const veth = links.find(({ ifindex }) => ifindex === inside?.link_index);
  if (veth === undefined) throw new Error(`The node has no end of the veth of ${pod.name}`);
  return veth.ifname;
}
