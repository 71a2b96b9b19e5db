/** STATUS: whether the pods that run are connected. The first thing that cuts one off is named. */
import type { Call } from '#lib/cni/plugin.ts';
import { requireForwarding } from '#lib/ipam/forwarding.ts';
import { describeEnds, limited, listPodEnds, stillThere } from '#lib/ipam/pod-ends.ts';
import { listAddresses } from '#lib/net/address.ts';
import { isUp } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import type { PtpConfig } from './config.ts';

/** @throws CniError LIMITED_CONNECTIVITY */
export function checkConnectivity({ network }: Call<PtpConfig>): void {
  using host = openRtnl();
  const ends = listPodEnds(host, network);
  const refuse = (suspects: typeof ends, what: string) => {
    const lacking = stillThere(host, suspects);
    if (lacking.length === 0) return;
    throw limited(
      `Pods of network "${network}" are cut off: ${describeEnds(lacking)} ${what}`,
      "it is the host's end of the pod's interface. Delete the pods, whose names the interfaces' aliases tell (ip link show), and look for what changed it",
    );
  };
  refuse(
    ends.filter((end) => !isUp(end)),
    'is down',
  );
  const families = new Map(
    ends.map((end) => {
      const global = listAddresses(host, end).filter(({ isGlobal }) => isGlobal);
      return [end, global.map(({ prefix }) => prefix.family)];
    }),
  );
  refuse(
    ends.filter((end) => families.get(end)?.length === 0),
    "does not have the gateway's address",
  );
  requireForwarding([...families.values()].flat());
}
