/** STATUS: whether the pods that run are connected. */
import { type Findings, limited } from '#lib/cni/finding.ts';
import type { Call } from '#lib/cni/plugin.ts';
import { checkForwarding } from '#lib/container-link/forwarding.ts';
import { describeEnds, stillThere } from '#lib/container-link/pod-ends.ts';
import { listAddresses } from '#lib/net/address.ts';
import { isUp, type Link } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { VETH } from '#lib/net/veth.ts';
import { listMarkedLinks } from '#lib/ownership/link-mark.ts';
import type { PtpConfig } from './config.ts';

/** Finds why running pods can't be reached. */
export function* checkConnectivity({ network }: Call<PtpConfig>): Findings {
  using host = openRtnl();
  const ends = listMarkedLinks(host, VETH, { network });
  const down = ends.filter((end) => !isUp(end));
  yield* cutOff(host, network, down, 'is down');
  const families = new Map(
    ends.map((end) => {
      const global = listAddresses(host, end).filter(({ isGlobal }) => isGlobal);
      return [end, global.map(({ prefix }) => prefix.family)];
    }),
  );
  const bare = ends.filter((end) => families.get(end)?.length === 0);
  yield* cutOff(host, network, bare, "does not have the gateway's address");
  yield* checkForwarding([...families.values()].flat());
}

function* cutOff(
  host: Netlink,
  network: string,
  suspects: readonly Link[],
  what: string,
): Findings {
  const ends = stillThere(host, suspects);
  if (ends.length === 0) return;
  yield limited(
    `Pods of network "${network}" are cut off: ${describeEnds(ends)} ${what}`,
    "it is the host's end of the pod's interface. Delete the pods, whose names the interfaces' aliases tell (ip link show), and look for what changed it",
  );
}
