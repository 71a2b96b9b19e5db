/** veth pairs (linux/veth.h): two interfaces, what goes into one comes out of the other. */
import { type Mac, macFromBytes, macToBytes } from '#lib/addr/mac.ts';
import { random } from '#lib/sys/digest.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { attr, type Attribute } from './attribute.ts';
import { addLink, encodeLink, IFF, IFLA, type Link } from './link.ts';
import type { Netlink } from './netlink.ts';

/** linux/veth.h */
const VETH_INFO_PEER = 1;

/** One end of a pair that is to be made. */
export interface VethEnd {
  readonly name: string;
  readonly mac: Mac;
}

/** A random unicast address of the locally administered block (IEEE 802-2014 §8.4). */
export function randomMac(): Mac {
  const bytes = random(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}

/** "veth" and eight random digits. */
export const randomVethName = (): string => `veth${Buffer.from(random(4)).toString('hex')}`;

/**
 * Makes a pair in one message: the near end here, up and a port of `master`; the far end under its name in another
 * namespace, or here too. The far end stays down: the kernel can't set it up before the pair exists.
 * As `ip link add NAME up master BR type veth peer NAME netns NS`. Needs CAP_NET_ADMIN in both namespaces.
 * @throws NetlinkError, EEXIST when either name is taken
 */
export function addVeth(
  rtnl: Netlink,
  near: VethEnd & { master?: Link },
  far: VethEnd & { netns?: Netns },
  mtuBytes: number | undefined,
): void {
  const common = ({ mac }: VethEnd): Attribute[] => [
    attr.bytes(IFLA.ADDRESS, macToBytes(mac)),
    ...(mtuBytes === undefined ? [] : [attr.u32(IFLA.MTU, mtuBytes)]),
  ];
  const peer = encodeLink({}, [
    attr.text(IFLA.IFNAME, far.name),
    ...common(far),
    ...(far.netns === undefined ? [] : [attr.u32(IFLA.NET_NS_FD, far.netns.fd)]),
  ]);
  addLink(rtnl, {
    name: near.name,
    kind: 'veth',
    flags: IFF.UP,
    attributes: [
      ...common(near),
      ...(near.master === undefined ? [] : [attr.u32(IFLA.MASTER, near.master.index)]),
    ],
    data: [attr.bytes(VETH_INFO_PEER, peer)],
  });
}
