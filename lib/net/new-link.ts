/** Making interfaces of any kind (linux/if_link.h), whole in one message. */
import { type Mac, macToBytes } from '#lib/addr/mac.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { attr, type Attribute, optional } from './attribute.ts';
import { encodeLink, IFF, IFLA, IFLA_INFO, type Link } from './link.ts';
import { encodeKind, type LinkKind } from './link-kind.ts';
import { NLM_F } from './message.ts';
import type { Netlink } from './netlink.ts';
import { RTM } from './rtnl.ts';

/** linux/veth.h */
const VETH_INFO_PEER = 1;

/** Settings of a new interface of any kind. The kernel chooses what is absent. */
export interface LinkSettings {
  readonly name: string;
  readonly mac?: Mac | undefined;
  readonly mtuBytes?: number | undefined;
  /** How many packets may wait to be sent. */
  readonly txQueueLength?: number | undefined;
  /** The namespace that it is made in, instead of the socket's. */
  readonly netns?: Netns | undefined;
}

/** Settings that the far end of a pair can't have when it is made. */
interface NearSettings extends LinkSettings {
  /** Up from the first moment. */
  readonly isUp?: boolean;
  /** The bridge or VRF that it is a port of, in its own namespace. */
  readonly master?: Pick<Link, 'index'> | undefined;
  /** The interface below it, in the socket's namespace: vlan, macvlan, ipvlan. */
  readonly parent?: Pick<Link, 'index'> | undefined;
}

/**
 * A pair: what goes into one end comes out of the other. The far end stays down: the kernel can't
 * set it up before the pair exists.
 */
interface VethKind {
  readonly kind: 'veth';
  readonly peer: LinkSettings;
}

/** An interface to be made. */
export type NewLink = NearSettings & (LinkKind | VethKind);

const encodeSettings = ({
  name,
  mac,
  mtuBytes,
  txQueueLength,
  netns,
}: LinkSettings): Attribute[] => [
  attr.text(IFLA.IFNAME, name),
  ...optional(mac, (value) => attr.bytes(IFLA.ADDRESS, macToBytes(value))),
  ...optional(mtuBytes, (value) => attr.u32(IFLA.MTU, value)),
  ...optional(txQueueLength, (value) => attr.u32(IFLA.TXQLEN, value)),
  ...optional(netns, ({ fd }) => attr.u32(IFLA.NET_NS_FD, fd)),
];

const encodeData = (link: NewLink): Attribute[] =>
  link.kind === 'veth'
    ? [attr.bytes(VETH_INFO_PEER, encodeLink({}, encodeSettings(link.peer)))]
    : encodeKind(link);

/**
 * Makes an interface. As `ip link add NAME … type KIND …`. Needs CAP_NET_ADMIN in each namespace
 * that it touches.
 * @throws NetlinkError, EEXIST if a name is taken
 */
export function addLink(rtnl: Netlink, link: NewLink): void {
  const { name, kind, isUp = false, master, parent } = link;
  const flags = isUp ? IFF.UP : 0;
  const data = encodeData(link);
  rtnl.request({
    op: `add link ${name} type ${kind}`,
    type: RTM.NEWLINK,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    body: encodeLink({ flags, change: flags }, [
      ...encodeSettings(link),
      ...optional(parent, ({ index }) => attr.u32(IFLA.LINK, index)),
      ...optional(master, ({ index }) => attr.u32(IFLA.MASTER, index)),
      attr.nested(IFLA.LINKINFO, [
        attr.bytes(IFLA_INFO.KIND, Buffer.from(kind)),
        ...(data.length === 0 ? [] : [attr.nested(IFLA_INFO.DATA, data)]),
      ]),
    ]),
  });
}
