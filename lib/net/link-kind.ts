/**
 * Kinds of virtual interfaces (linux/if_link.h): their options as values, and as the attributes
 * that make them. Pure.
 */
import type { Address } from '#lib/addr/address.ts';
import { attr, type Attribute, optional } from './attribute.ts';

/** linux/if_link.h, data of each kind */
const IFLA_BR_VLAN_FILTERING = 7;
const IFLA_VLAN_ID = 1;
const IFLA_MACVLAN = { MODE: 1, BC_QUEUE_LEN: 7 } as const;
const IFLA_IPVLAN = { MODE: 1, FLAGS: 2 } as const;
const IFLA_VRF_TABLE = 1;
const IFLA_VXLAN = {
  ID: 1,
  LINK: 3,
  LOCAL: 4,
  LEARNING: 7,
  PORT: 15,
  LOCAL6: 17,
  GBP: 23,
} as const;
const IFLA_IPTUN = { LINK: 1, LOCAL: 2, TTL: 4, PMTUDISC: 10 } as const;

/** linux/if_link.h: who may talk to whom below one parent. */
const MACVLAN_MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;

/** linux/if_link.h: where packets of an ipvlan are switched or routed. */
const IPVLAN_MODE = { l2: 0, l3: 1, l3s: 2 } as const;

/**
 * The options of each kind. Indexes are those of interfaces in the namespace that the request
 * is made in.
 */
export type LinkKind =
  | { readonly kind: 'dummy' }
  | { readonly kind: 'ifb' }
  | { readonly kind: 'wireguard' }
  | { readonly kind: 'bridge'; readonly vlanFiltering?: boolean }
  /** `id`: 1 to 4094. */
  | { readonly kind: 'vlan'; readonly id: number }
  /**
   * `broadcastQueue`: how many broadcast frames may wait; the kernel's 1000 if absent. Linux 5.11.
   */
  | {
      readonly kind: 'macvlan';
      readonly mode: keyof typeof MACVLAN_MODE;
      readonly broadcastQueue?: number;
    }
  | { readonly kind: 'ipvlan'; readonly mode: keyof typeof IPVLAN_MODE }
  /** `table`: the routing table that the interface stands for. */
  | { readonly kind: 'vrf'; readonly table: number }
  | ({ readonly kind: 'vxlan' } & VxlanOptions)
  | ({ readonly kind: 'ipip' } & IpipOptions);

/** A tunnel of Ethernet frames in UDP (RFC 7348). */
interface VxlanOptions {
  /** 24 bits. */
  readonly vni: number;
  /** UDP port; IANA's is 4789, that of Linux and flannel 8472. */
  readonly port: number;
  /** The source address of packets, and the interface that they leave by. */
  readonly local: Address;
  readonly device: number;
  /** Whether the interface learns where hardware addresses are from what it receives. */
  readonly learning: boolean;
  /** Group Based Policy: carry packet marks. */
  readonly gbp: boolean;
}

/** A tunnel of IPv4 in IPv4 (RFC 2003) to any address that routes name. */
interface IpipOptions {
  readonly local: Address;
  readonly device: number;
}

/** The attributes within IFLA_INFO_DATA of a kind. */
export function encodeKind(options: LinkKind): Attribute[] {
  switch (options.kind) {
    case 'dummy':
    case 'ifb':
    case 'wireguard':
      return [];
    case 'bridge':
      return options.vlanFiltering === true ? [attr.u8(IFLA_BR_VLAN_FILTERING, 1)] : [];
    case 'vlan':
      return [attr.u16(IFLA_VLAN_ID, options.id)];
    case 'macvlan':
      return [
        attr.u32(IFLA_MACVLAN.MODE, MACVLAN_MODE[options.mode]),
        ...optional(options.broadcastQueue, (n) => attr.u32(IFLA_MACVLAN.BC_QUEUE_LEN, n)),
      ];
    case 'ipvlan':
      return [
        attr.u16(IFLA_IPVLAN.MODE, IPVLAN_MODE[options.mode]),
        attr.u16(IFLA_IPVLAN.FLAGS, 0),
      ];
    case 'vrf':
      return [attr.u32(IFLA_VRF_TABLE, options.table)];
    case 'vxlan':
      return encodeVxlan(options);
    default:
      return encodeIpip(options);
  }
}

const encodeVxlan = ({ vni, port, local, device, learning, gbp }: VxlanOptions): Attribute[] => [
  attr.u32(IFLA_VXLAN.ID, vni),
  attr.bytes(local.family === 4 ? IFLA_VXLAN.LOCAL : IFLA_VXLAN.LOCAL6, local.toBytes()),
  attr.u32(IFLA_VXLAN.LINK, device),
  attr.u8(IFLA_VXLAN.LEARNING, Number(learning)),
  attr.be16(IFLA_VXLAN.PORT, port),
  // A flag: that it is there is what counts.
  ...(gbp ? [attr.bytes(IFLA_VXLAN.GBP, new Uint8Array())] : []),
];

const encodeIpip = ({ local, device }: IpipOptions): Attribute[] => [
  attr.u32(IFLA_IPTUN.LINK, device),
  attr.bytes(IFLA_IPTUN.LOCAL, local.toBytes()),
  attr.u8(IFLA_IPTUN.TTL, 0),
  attr.u8(IFLA_IPTUN.PMTUDISC, 1),
];
