/** The attributes of an interface that tuning sets, under the names of its keys. */
import type { Mac } from '#lib/addr/mac.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { cleanUp, CniError, CODE } from '#lib/cni/error.ts';
import {
  getLink,
  IFF,
  type Link,
  setLinkAllMulticast,
  setLinkMac,
  setLinkMtu,
  setLinkPromiscuous,
  setLinkTxQueueLength,
} from '#lib/net/link.ts';
import { absentAsUndefined, type Netlink } from '#lib/net/netlink.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { readSysctl, trySysctl } from '#lib/sys/sysctl.ts';

/** Values of an interface, present or wanted. Undefined ones are left as they are. */
export interface LinkAttributes {
  readonly mac?: Mac | undefined;
  readonly promisc?: boolean | undefined;
  /** Bytes. */
  readonly mtu?: number | undefined;
  readonly allmulti?: boolean | undefined;
  /** Packets. */
  readonly txQLen?: number | undefined;
}

type Name = keyof LinkAttributes;

/** In the order in which the reference plugin sets them. */
export const ATTRIBUTES = ['mac', 'promisc', 'mtu', 'allmulti', 'txQLen'] as const satisfies Name[];

/** In the order in which the reference plugin sets them back. */
const RESTORE_ORDER = ['mtu', 'mac', 'promisc', 'allmulti', 'txQLen'] as const satisfies Name[];

const SETTERS: {
  readonly [N in Name]: (rtnl: Netlink, link: Link, value: NonNullable<LinkAttributes[N]>) => void;
} = {
  mac: setLinkMac,
  promisc: setLinkPromiscuous,
  mtu: setLinkMtu,
  allmulti: setLinkAllMulticast,
  txQLen: setLinkTxQueueLength,
};

/** The container's interface. @throws CniError if there is none */
export function requireLink(container: Netlink, { ifName, netns }: Attachment): Link {
  const link = getLink(container, ifName);
  if (link !== undefined) return link;
  throw new CniError(CODE.INTERNAL, `Container interface "${ifName}" not found in "${netns}"`);
}

/** The values that an interface has. `promisc` is its own flag: a listener does not set it. */
export const attributesOf = (link: Link): LinkAttributes => ({
  mac: link.mac,
  promisc: (link.flags & IFF.PROMISC) !== 0,
  mtu: link.mtuBytes,
  allmulti: (link.flags & IFF.ALLMULTI) !== 0,
  txQLen: link.txQueueLength,
});

/** Names of the attributes that have a value in `wanted` and another one in `current`. */
export const differing = ({
  wanted,
  current,
}: Readonly<Record<'wanted' | 'current', LinkAttributes>>): Name[] =>
  ATTRIBUTES.filter((name) => wanted[name] !== undefined && wanted[name] !== current[name]);

/** Names of the attributes that have a value. */
export const namesIn = (values: LinkAttributes): Name[] =>
  ATTRIBUTES.filter((name) => values[name] !== undefined);

/** The values of some attributes. */
export const pickAttributes = (values: LinkAttributes, names: readonly Name[]): LinkAttributes =>
  Object.fromEntries(names.map((name) => [name, values[name]]));

/**
 * Sets the values that differ, and announces a new hardware address. `netns` is the interface's.
 * @throws NetlinkError
 */
export function setAttributes(
  rtnl: Netlink,
  netns: Netns,
  link: Link,
  wanted: LinkAttributes,
): void {
  const names = differing({ wanted, current: attributesOf(link) });
  const set = () => {
    for (const name of names) setAttribute(rtnl, link, wanted, name);
  };
  if (names.includes('mac')) announcing(netns, link, set);
  else set();
}

/**
 * Sets back each value that differs, whatever becomes of the others. An interface that is gone is
 * accepted. @throws AggregateError
 */
export function restoreAttributes(rtnl: Netlink, link: Link, former: LinkAttributes): void {
  const names = differing({ wanted: former, current: attributesOf(link) });
  cleanUp(
    ...RESTORE_ORDER.filter((name) => names.includes(name)).map(
      (name) => () => absentAsUndefined(() => setAttribute(rtnl, link, former, name)),
    ),
  );
}

function setAttribute<N extends Name>(
  rtnl: Netlink,
  link: Link,
  values: Pick<LinkAttributes, N>,
  name: N,
): void {
  const value = values[name];
  if (value !== undefined) SETTERS[name](rtnl, link, value);
}

/**
 * Lets the kernel announce a new hardware address (gratuitous ARP, unsolicited neighbour
 * advertisements), which two parameters switch on: the host may know the old address.
 */
function announcing(netns: Netns, { name }: Link, body: () => void): void {
  const switches = [`net/ipv4/conf/${name}/arp_notify`, `net/ipv6/conf/${name}/ndisc_notify`];
  const former = within(netns, () => switches.map((sysctl) => readSysctl(sysctl)));
  const set = (values: readonly (string | undefined)[]) =>
    within(netns, () => {
      for (const [index, sysctl] of switches.entries()) {
        const value = values[index];
        // Without IPv6, or if /proc/sys is read-only, the neighbours learn the address when they
        // need it.
        if (value !== undefined) trySysctl(sysctl, value);
      }
    });
  set(former.map((value) => value && '1'));
  try {
    body();
  } finally {
    set(former);
  }
}
