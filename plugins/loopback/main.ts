/**
 * loopback: sets a container's interface `lo` up, whatever CNI_IFNAME is. It is called for every
 * pod, and has to be quick.
 */
import { Address, FAMILIES } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { openContainer, openContainerIfAny } from '#lib/cni/attachment.ts';
import { NO_DNS } from '#lib/cni/config.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { broken } from '#lib/cni/finding.ts';
import { definePlugin } from '#lib/cni/plugin.ts';
import type { Result } from '#lib/cni/result.ts';
import { NoKeys } from '#lib/cni/schema.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { listAddresses, missingAddresses } from '#lib/net/address.ts';
import { getLink, isUp, type Link, setLinkDown, setLinkUp } from '#lib/net/link.ts';
import type { Netlink } from '#lib/net/netlink.ts';
import { openRtnl } from '#lib/net/rtnl.ts';

/** The kernel puts it into every namespace. */
const NAME = 'lo';

/** RFC 1122 §3.2.1.3; RFC 4291 §2.5.3: ::1. */
const LOOPBACK = [Prefix.parse('127.0.0.0/8'), Prefix.host(Address.of(6, 1n))];

export const loopback = definePlugin({
  name: 'loopback',
  versions: SPEC_VERSIONS,
  config: NoKeys,
  teardown: NoKeys,

  add({ attachment, prevResult }) {
    using netns = openContainer(attachment);
    using rtnl = openRtnl(netns);
    using undo = new DisposableStack();
    const link = requireLoopback(rtnl);
    refuseForeign(listAddresses(rtnl, link).map(({ prefix }) => prefix));
    if (!isUp(link)) {
      setLinkUp(rtnl, link);
      undo.defer(() => setLinkDown(rtnl, link));
    }
    const result = prevResult ?? describe(rtnl, link, attachment.netns);
    undo.move();
    return result;
  },

  *check({ attachment, prevResult }) {
    using netns = openContainer(attachment);
    using rtnl = openRtnl(netns);
    const link = requireLoopback(rtnl);
    if (!isUp(link)) yield broken('loopback interface is down');
    const addresses = prevResult === undefined ? [] : loopbackAddresses(prevResult);
    for (const missing of missingAddresses(rtnl, link, addresses)) {
      yield broken(`Failed to find "${missing}" on interface "${NAME}"`);
    }
  },

  del({ attachment }) {
    using netns = openContainerIfAny(attachment);
    if (netns === undefined) return;
    using rtnl = openRtnl(netns);
    setLinkDown(rtnl, requireLoopback(rtnl));
  },

  // There is no state but the interface's, which goes with its namespace.
  gc() {},
  status: () => [],
});

function requireLoopback(rtnl: Netlink): Link {
  const link = getLink(rtnl, NAME);
  if (link === undefined) throw refuse(`Interface "${NAME}" not found`);
  return link;
}

/** Refuses other addresses: this namespace is not a new container's. */
function refuseForeign(addresses: readonly Prefix[]): void {
  const foreign = addresses.find(({ address }) => !LOOPBACK.some((own) => own.contains(address)));
  if (foreign !== undefined) {
    throw refuse(`loopback interface found with non-loopback address "${foreign.address}"`);
  }
}

/** The first address of each family: those that the kernel gave the interface when it came up. */
function describe(rtnl: Netlink, link: Link, sandbox: string | undefined): Result {
  const present = listAddresses(rtnl, link).map(({ prefix }) => prefix);
  const ips = FAMILIES.flatMap((family) => {
    const address = present.find((prefix) => prefix.family === family);
    return address === undefined ? [] : [{ address, interface: 0 }];
  });
  return { interfaces: [{ name: NAME, mac: link.mac, sandbox }], ips, routes: [], dns: NO_DNS };
}

/** The addresses of `lo` in a result. In a chain the other addresses are other interfaces'. */
const loopbackAddresses = ({ interfaces, ips }: Result): Prefix[] =>
  ips.flatMap(({ address, interface: index }) => {
    const owner = index === undefined ? undefined : interfaces[index];
    return owner?.name === NAME && owner.sandbox ? [address] : [];
  });

const refuse = (message: string): CniError => new CniError(CODE.INTERNAL, message);
