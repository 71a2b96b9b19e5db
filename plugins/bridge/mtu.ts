/**
 * MTUs of bridge and ports: the bridge drops a frame that is larger than its MTU, and nobody is
 * told.
 */
import { type Findings, limited } from '#lib/cni/finding.ts';
import { type Link, setLinkMtu } from '#lib/net/link.ts';
import { type Netlink, netlinkError } from '#lib/net/netlink.ts';
import { log } from '#lib/sys/process.ts';
import { recover } from '#lib/sys/recover.ts';
import { describeEnds } from '#lib/container-link/pod-ends.ts';

/**
 * Raises the MTU of an interface that the network's frames pass, if it is smaller: the network's
 * "mtu" may have been raised since the interface was made. `undo` sets it back. @returns the MTU
 * that it has then
 */
export function raiseMtu(
  host: Netlink,
  link: Link,
  mtuBytes: number | undefined,
  undo: DisposableStack,
): number {
  if (mtuBytes === undefined || link.mtuBytes >= mtuBytes) return link.mtuBytes;
  // If the reply is lost, the kernel may still have acted: the undo comes first.
  undo.defer(() => setLinkMtu(host, link, link.mtuBytes));
  const raise = (): number => {
    setLinkMtu(host, link, mtuBytes);
    return mtuBytes;
  };
  // The pod works with small frames.
  return recover(raise, netlinkError(), ({ message }) => {
    log(`bridge: cannot raise the MTU of "${link.name}" to ${mtuBytes}: ${message}`);
    return link.mtuBytes;
  });
}

/** Warns in the log if a pod gets a larger MTU than its bridge has. */
export function warnOfLargeFrames({ bridge, port }: { bridge: Link; port: Link }): void {
  if (port.mtuBytes <= bridge.mtuBytes) return;
  log(
    `bridge: "${bridge.name}" has MTU ${bridge.mtuBytes}, the pod's interface ${port.mtuBytes}: larger frames vanish at the bridge. Set "mtu" in the network configuration`,
  );
}

/** STATUS: no pod has a larger MTU than its bridge. */
export function* checkMtus(bridge: Link, ports: readonly Link[]): Findings {
  const large = ports.filter(({ mtuBytes }) => mtuBytes > bridge.mtuBytes);
  if (large.length === 0) return;
  const most = Math.max(...large.map(({ mtuBytes }) => mtuBytes));
  yield limited(
    `Bridge "${bridge.name}" has MTU ${bridge.mtuBytes}, and its ports ${describeEnds(large)} have up to ${most}: larger frames vanish at the bridge`,
    `ip link set ${bridge.name} mtu ${most}; or set "mtu" in the network configuration, which the next ADD gives the bridge too`,
  );
}
