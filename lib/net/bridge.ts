/** Ports of bridges, and their VLANs (linux/if_bridge.h, linux/if_link.h). */
import { attr, Attributes, viewOf } from './attribute.ts';
import { encodeLink, IFLA, type Link, setBridgePort } from './link.ts';
import type { Netlink } from './netlink.ts';
import { AF_BRIDGE, RTM } from './rtnl.ts';

/** linux/if_link.h, data of a port */
const IFLA_BRPORT = { STATE: 1, MODE: 4, ISOLATED: 33 } as const;

/** linux/if_bridge.h */
const BR_STATE = { LISTENING: 1, LEARNING: 2, FORWARDING: 3 } as const;
const IFLA_BRIDGE_FLAGS = 0;
const IFLA_BRIDGE_VLAN_INFO = 2;
const BRIDGE_FLAGS_MASTER = 1;
const BRIDGE_VLAN_INFO = { PVID: 1 << 1, UNTAGGED: 1 << 2, RANGE_BEGIN: 1 << 3, RANGE_END: 1 << 4 };
const RTEXT_FILTER_BRVLAN = 1 << 1;

/** Options of a port. */
export interface PortOptions {
  /** Send frames back out of the port they came from. */
  readonly hairpin: boolean;
  /** Forward nothing between isolated ports. */
  readonly isolated: boolean;
}

/**
 * Sets both options of a port; `isolated` is only sent where it is wanted: kernels before 4.18 lack
 * it. @throws NetlinkError
 */
export function setPortOptions(rtnl: Netlink, port: Link, options: PortOptions): void {
  setBridgePort(rtnl, port, [
    attr.u8(IFLA_BRPORT.MODE, Number(options.hairpin)),
    ...(options.isolated ? [attr.u8(IFLA_BRPORT.ISOLATED, 1)] : []),
  ]);
}

/** The options that a port has. */
export const portOptions = ({ portData }: Link): PortOptions => ({
  hairpin: portData.u8(IFLA_BRPORT.MODE) === 1,
  isolated: portData.u8(IFLA_BRPORT.ISOLATED) === 1,
});

/**
 * Whether the bridge sends frames through this port, or will when its spanning tree protocol is
 * done with it.
 */
export const isActive = ({ portData }: Link): boolean =>
  Object.values<number | undefined>(BR_STATE).includes(portData.u8(IFLA_BRPORT.STATE));

/**
 * A VLAN of a port: `untagged` frames of it leave without a tag, `pvid` frames without a tag enter
 * it.
 */
export interface PortVlan {
  readonly id: number;
  readonly untagged: boolean;
  readonly pvid: boolean;
}

function encodeVlan({ id, untagged, pvid }: PortVlan) {
  const bytes = Buffer.alloc(4);
  const flags = (pvid ? BRIDGE_VLAN_INFO.PVID : 0) | (untagged ? BRIDGE_VLAN_INFO.UNTAGGED : 0);
  bytes.writeUInt16LE(flags, 0);
  bytes.writeUInt16LE(id, 2);
  return attr.bytes(IFLA_BRIDGE_VLAN_INFO, bytes);
}

function changeVlans(rtnl: Netlink, verb: 'add' | 'delete', link: Link, vlans: PortVlan[]): void {
  if (vlans.length === 0) return;
  rtnl.request({
    op: `${verb} vlans ${vlans.map(({ id }) => id).join(',')} of ${link.name}`,
    type: verb === 'add' ? RTM.SETLINK : RTM.DELLINK,
    body: encodeLink({ family: AF_BRIDGE, index: link.index }, [
      attr.nested(IFLA.AF_SPEC, [
        attr.u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_MASTER),
        ...vlans.map(encodeVlan),
      ]),
    ]),
  });
}

/** As `bridge vlan add vid ID dev PORT [pvid] [untagged] master`. @throws NetlinkError */
export const addPortVlans = (rtnl: Netlink, port: Link, vlans: PortVlan[]): void =>
  changeVlans(rtnl, 'add', port, vlans);

/** As `bridge vlan del vid ID dev PORT master`. @throws NetlinkError */
export const deletePortVlans = (rtnl: Netlink, port: Link, vlans: PortVlan[]): void =>
  changeVlans(rtnl, 'delete', port, vlans);

/** The VLANs of a port, ranges written out. As `bridge vlan show dev PORT`. @throws NetlinkError */
export function listPortVlans(rtnl: Netlink, port: Link): PortVlan[] {
  const messages = rtnl.dump({
    op: `show vlans of ${port.name}`,
    type: RTM.GETLINK,
    body: encodeLink({ family: AF_BRIDGE }, [attr.u32(IFLA.EXT_MASK, RTEXT_FILTER_BRVLAN)]),
  });
  const own = messages.filter(({ body }) => viewOf(body, 8).getInt32(4, true) === port.index);
  return own.flatMap(({ body }) => decodeVlans(Attributes.decode(body.subarray(16))));
}

function decodeVlans(link: Attributes): PortVlan[] {
  const vlans: PortVlan[] = [];
  let begin = 0;
  for (const { type, value } of link.nested(IFLA.AF_SPEC).list) {
    if (type !== IFLA_BRIDGE_VLAN_INFO || value.length < 4) continue;
    const flags = viewOf(value).getUint16(0, true);
    const id = viewOf(value).getUint16(2, true);
    if ((flags & BRIDGE_VLAN_INFO.RANGE_BEGIN) !== 0) {
      begin = id;
      continue;
    }
    const from = (flags & BRIDGE_VLAN_INFO.RANGE_END) !== 0 ? begin : id;
    for (let vlan = from; vlan <= id; vlan += 1) {
      vlans.push({
        id: vlan,
        untagged: (flags & BRIDGE_VLAN_INFO.UNTAGGED) !== 0,
        pvid: (flags & BRIDGE_VLAN_INFO.PVID) !== 0,
      });
    }
  }
  return vlans;
}
