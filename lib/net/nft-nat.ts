/**
 * nftables expressions that translate what a connection goes to, by maps
 * (linux/netfilter/nf_tables.h). Pure.
 */
import type { Family } from '#lib/addr/address.ts';
import { attr } from './attribute.ts';
import {
  equals,
  type Expression,
  expression,
  loadAddress,
  loadDestinationPort,
  loadProtocol,
  NFT_REG_1,
} from './nft-expression.ts';
import { AF } from './rtnl.ts';

/** linux/netfilter/nf_tables.h */
const NFT_FIB_RESULT_ADDRTYPE = 3;
const NFTA_FIB_F_DADDR = 1 << 1;
const NFT_NAT_DNAT = 1;

/** Registers of 4 bytes: the first four lie in NFT_REG_1. */
const NFT_REG32_00 = 8;

/** linux/rtnetlink.h: an address of this host. */
const RTN_LOCAL = 2;

/** A place in the registers, counted in 4 bytes: where one of 16 bytes begins, that is its name. */
const register = (place: number): number =>
  place % 4 === 0 ? NFT_REG_1 + place / 4 : NFT_REG32_00 + place;

/** How many places an address takes. */
const ADDRESS_PLACES = { 4: 1, 6: 4 } as const satisfies Record<Family, number>;

/** `meta l4proto . th dport`: loads protocol and port that a packet goes to, side by side. */
export const loadPort = (place = 0): Expression[] => [
  loadProtocol(register(place)),
  loadDestinationPort(register(place + 1)),
];

/** `ip daddr . meta l4proto . th dport`: the same with the address before them. */
export const loadAddressAndPort = (family: Family): Expression[] => [
  loadAddress('daddr', family, register(0)),
  ...loadPort(ADDRESS_PLACES[family]),
];

/** `fib daddr type local`: goes on only for packets to an address of this host. */
export function matchLocalDestination(): Expression[] {
  const load = expression('fib', [
    attr.be32(1, NFT_REG_1), // NFTA_FIB_DREG
    attr.be32(2, NFT_FIB_RESULT_ADDRTYPE), // NFTA_FIB_RESULT
    attr.be32(3, NFTA_FIB_F_DADDR), // NFTA_FIB_FLAGS
  ]);
  return [load, equals(Uint8Array.of(RTN_LOCAL, 0, 0, 0))];
}

/**
 * `dnat to … map @SET`: looks up what was loaded, and sends the connection to the address and port
 * that it finds.
 */
export const translateDestination = (family: Family, set: string): Expression[] => [
  expression('lookup', [
    attr.text(1, set), // NFTA_LOOKUP_SET
    attr.be32(2, register(0)), // NFTA_LOOKUP_SREG
    attr.be32(3, register(0)), // NFTA_LOOKUP_DREG
  ]),
  expression('nat', [
    attr.be32(1, NFT_NAT_DNAT), // NFTA_NAT_TYPE
    attr.be32(2, AF[family]), // NFTA_NAT_FAMILY
    attr.be32(3, register(0)), // NFTA_NAT_REG_ADDR_MIN
    attr.be32(5, register(ADDRESS_PLACES[family])), // NFTA_NAT_REG_PROTO_MIN
  ]),
];
