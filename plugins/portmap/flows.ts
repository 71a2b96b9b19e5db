/**
 * Tracked UDP flows. UDP has no end of connection: the kernel would go on sending a flow to the
 * former pod of a host port.
 */
import { type Address, FAMILIES, type Family } from '#lib/addr/address.ts';
import {
  type Connection,
  deleteConnection,
  listConnections,
  openConntrack,
} from '#lib/net/conntrack.ts';
import { NetlinkError } from '#lib/net/netlink.ts';
import { findPath } from '#lib/net/route.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { SysError } from '#lib/sys/error.ts';
import { log } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { PROTOCOLS } from './config.ts';
import type { Forward } from './forward.ts';

/** Forgets the flows through an ADD's host ports that lead to another pod. */
export function forgetFormerFlows(forwards: readonly Forward[]): void {
  const wanted = forwards.filter(({ protocol }) => protocol === 'udp');
  if (wanted.length === 0) return;
  using rtnl = openRtnl();
  const isHostAddress = (address: Address) => findPath(rtnl, address)?.isLocal === true;
  forget(new Set(wanted.map(({ family }) => family)), ({ original, reply }) =>
    wanted.some(
      ({ hostPort, hostAddress, pod }) =>
        original.destinationPort === hostPort &&
        !reply.source.equals(pod.address) &&
        (hostAddress?.equals(original.destination) ?? isHostAddress(original.destination)),
    ),
  );
}

/** Forgets the flows that lead to these pods. */
export function forgetFlowsTo(pods: readonly Address[]): void {
  forget(new Set(pods.map(({ family }) => family)), ({ reply }) =>
    pods.some((pod) => pod.equals(reply.source)),
  );
}

function forget(families: ReadonlySet<Family>, isUnwanted: (flow: Connection) => boolean): void {
  const forgetAll = (): void => {
    using conntrack = openConntrack();
    for (const family of FAMILIES.filter((candidate) => families.has(candidate))) {
      const flows = listConnections(conntrack, family, PROTOCOLS.udp).filter(isUnwanted);
      for (const flow of flows) deleteConnection(conntrack, flow);
    }
  };
  // The flows end by themselves after half a minute or two of silence: no reason to fail the pod.
  recover(forgetAll, instanceOf(NetlinkError, SysError), ({ message }) =>
    log(`portmap: cannot forget former UDP flows: ${message}`),
  );
}
