/** VLANs of the bridge's ports, on kernels that can filter them. */
import { CniError, CODE } from '#lib/cni/error.ts';
import { addPortVlans, deletePortVlans, listPortVlans, type PortVlan } from '#lib/net/bridge.ts';
import type { Link } from '#lib/net/link.ts';
import { isNetlinkError, type Netlink } from '#lib/net/netlink.ts';

/**
 * Runs a step that needs VLAN filtering. A kernel without it says only "operation not supported".
 * @throws CniError
 */
export function explainVlans<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!isNetlinkError(error, 'EOPNOTSUPP')) throw error;
    throw new CniError(
      CODE.IO_FAILURE,
      `${error.message}: this kernel's bridges cannot filter VLANs`,
      'it was built without CONFIG_BRIDGE_VLAN_FILTERING: leave out "vlan" and "vlanTrunk", or use another kernel',
      { cause: error },
    );
  }
}

/** Puts a port into VLANs; with `isOnly` into no others. @throws CniError, NetlinkError */
export function setPortVlans(
  host: Netlink,
  port: Link,
  vlans: readonly PortVlan[],
  { isOnly }: { isOnly: boolean },
): void {
  explainVlans(() => {
    if (isOnly) deletePortVlans(host, port, listPortVlans(host, port));
    addPortVlans(host, port, [...vlans]);
  });
}
