/**
 * nftables expressions: the steps that a rule is made of (linux/netfilter/nf_tables.h). Pure:
 * values to attributes.
 */
import { ADDRESS_BITS, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { attr, type Attribute, type Attributes } from './attribute.ts';

/** linux/netfilter/nf_tables.h */
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
export const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;
export const NFTA_VERDICT = { CODE: 1, CHAIN: 2 } as const;
export const NFTA_IMMEDIATE_DATA = 2;
export const NFTA_CMP_DATA = 3;
const NFT_REG_VERDICT = 0;
/** The first general register, of 16 bytes. */
export const NFT_REG_1 = 1;
const NFT_PAYLOAD_LINK_HEADER = 0;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER = 2;
const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;

/** linux/netfilter/nf_tables.h: what a packet is known by besides its bytes. */
const NFT_META = { MARK: 3, IIFNAME: 6, L4PROTO: 16 } as const;

/** Verdicts: linux/netfilter.h, linux/netfilter/nf_tables.h. */
const VERDICTS = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

/** A verdict, with a chain for `jump` and `goto`. */
export interface Verdict {
  readonly code: keyof typeof VERDICTS;
  readonly chain?: string;
}

/** One expression, as an attribute of a rule. */
export type Expression = Attribute;

/** An expression of a kind with its own attributes. */
export function expression(name: string, data: readonly Attribute[]): Expression {
  return attr.nested(NFTA_LIST_ELEM, [
    attr.text(NFTA_EXPR.NAME, name),
    attr.nested(NFTA_EXPR.DATA, data),
  ]);
}

/** An expression of a listed rule: its name and its own attributes. */
export const decodeExpression = (
  element: Attributes,
): { name: string | undefined; data: Attributes } => ({
  name: element.text(NFTA_EXPR.NAME),
  data: element.nested(NFTA_EXPR.DATA),
});

/** A value, as comparisons, masks and set elements carry it. */
export const dataValue = (type: number, value: Uint8Array): Attribute =>
  attr.nested(type, [attr.bytes(NFTA_DATA.VALUE, value)]);

/** A verdict, as immediates and elements of verdict maps carry it. */
export const dataVerdict = (type: number, { code, chain }: Verdict): Attribute =>
  attr.nested(type, [
    attr.nested(NFTA_DATA.VERDICT, [
      attr.be32(NFTA_VERDICT.CODE, VERDICTS[code]),
      ...(chain === undefined ? [] : [attr.text(NFTA_VERDICT.CHAIN, chain)]),
    ]),
  ]);

/** Where bytes of a packet are. */
interface PacketBytes {
  readonly base: number;
  readonly offset: number;
  readonly length: number;
}

/** Loads bytes of a packet's header. */
function payload({ base, offset, length }: PacketBytes, register: number): Expression {
  return expression('payload', [
    attr.be32(1, register), // NFTA_PAYLOAD_DREG
    attr.be32(2, base), // NFTA_PAYLOAD_BASE
    attr.be32(3, offset), // NFTA_PAYLOAD_OFFSET
    attr.be32(4, length), // NFTA_PAYLOAD_LEN
  ]);
}

/** Loads what a packet is known by besides its bytes. */
function meta(key: keyof typeof NFT_META, register: number): Expression {
  return expression('meta', [
    attr.be32(1, register), // NFTA_META_DREG
    attr.be32(2, NFT_META[key]), // NFTA_META_KEY
  ]);
}

function compare(operator: number, value: Uint8Array): Expression {
  return expression('cmp', [
    attr.be32(1, NFT_REG_1), // NFTA_CMP_SREG
    attr.be32(2, operator), // NFTA_CMP_OP
    dataValue(NFTA_CMP_DATA, value),
  ]);
}

/** Goes on only if what was loaded has this value. */
export const equals = (value: Uint8Array): Expression => compare(NFT_CMP_EQ, value);

/** Keeps the bits of a mask of what was loaded, then turns over those of `xor`. */
function mask(bytes: Uint8Array, xor: Uint8Array = new Uint8Array(bytes.length)): Expression {
  return expression('bitwise', [
    attr.be32(1, NFT_REG_1), // NFTA_BITWISE_SREG
    attr.be32(2, NFT_REG_1), // NFTA_BITWISE_DREG
    attr.be32(3, bytes.length), // NFTA_BITWISE_LEN
    dataValue(4, bytes), // NFTA_BITWISE_MASK
    dataValue(5, xor), // NFTA_BITWISE_XOR
  ]);
}

/** Where IPv4 and IPv6 headers hold their addresses, in bytes. */
const ADDRESS_OFFSETS = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;

/** `ip saddr` or `ip6 daddr`: loads an address of the packet. */
export const loadAddress = (
  which: 'saddr' | 'daddr',
  family: Family,
  register: number = NFT_REG_1,
): Expression =>
  payload(
    {
      base: NFT_PAYLOAD_NETWORK_HEADER,
      offset: ADDRESS_OFFSETS[which][family],
      length: ADDRESS_BITS[family] / 8,
    },
    register,
  );

/** `meta l4proto`: loads the number of the transport protocol. */
export const loadProtocol = (register: number): Expression => meta('L4PROTO', register);

/** `th dport`: loads the port that the packet goes to, of whatever transport protocol. */
export const loadDestinationPort = (register: number): Expression =>
  payload({ base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2 }, register);

/** `ip daddr 10.0.0.0/8`: goes on only if the address lies in the prefix. */
export function matchPrefix(which: 'saddr' | 'daddr', prefix: Prefix): Expression[] {
  const load = loadAddress(which, prefix.family);
  const network = equals(prefix.first.toBytes());
  if (prefix.hostBits === 0) return [load, network];
  return [load, mask(prefixMask(prefix)), network];
}

/** 255.255.255.0 for a /24. */
function prefixMask({ bits, family }: Prefix): Uint8Array {
  return Uint8Array.from({ length: ADDRESS_BITS[family] / 8 }, (_, index) => {
    const ones = Math.min(8, Math.max(0, bits - index * 8));
    return (0xff << (8 - ones)) & 0xff;
  });
}

/** `ether saddr MAC`: goes on only if the frame comes from this hardware address. */
export const matchEtherSource = (mac: Uint8Array): Expression[] => [
  payload({ base: NFT_PAYLOAD_LINK_HEADER, offset: 6, length: 6 }, NFT_REG_1),
  equals(mac),
];

function interfaceName(name: string): Uint8Array {
  const value = Buffer.alloc(16);
  value.write(name);
  return value;
}

/** `iifname NAME`: goes on only for packets that came in by this interface. */
export const matchInputInterface = (name: string): Expression[] => [
  meta('IIFNAME', NFT_REG_1),
  equals(interfaceName(name)),
];

/** `iifname != NAME`: goes on only for packets that came in by another interface. */
export const matchOtherInputInterface = (name: string): Expression[] => [
  meta('IIFNAME', NFT_REG_1),
  compare(NFT_CMP_NEQ, interfaceName(name)),
];

/** A mark's bit, as this machine keeps numbers. */
function markBytes(bits: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(bits >>> 0);
  return bytes;
}

/** `meta mark & BIT == BIT`: goes on only for packets whose mark has this bit (0 to 31). */
export const matchMark = (bit: number): Expression[] => [
  meta('MARK', NFT_REG_1),
  mask(markBytes(1 << bit)),
  equals(markBytes(1 << bit)),
];

/** `meta mark set meta mark | BIT`: sets one bit (0 to 31) of the packet's mark. */
export const setMark = (bit: number): Expression[] => [
  meta('MARK', NFT_REG_1),
  mask(markBytes(~(1 << bit)), markBytes(1 << bit)),
  expression('meta', [
    attr.be32(2, NFT_META.MARK), // NFTA_META_KEY
    attr.be32(3, NFT_REG_1), // NFTA_META_SREG
  ]),
];

/** `vmap @SET`: looks up what was loaded and obeys the verdict found. */
export const lookupVerdict = (set: string): Expression =>
  expression('lookup', [
    attr.be32(2, NFT_REG_1), // NFTA_LOOKUP_SREG
    attr.be32(3, NFT_REG_VERDICT), // NFTA_LOOKUP_DREG
    attr.text(1, set), // NFTA_LOOKUP_SET
  ]);

/** `return`, `drop`, `jump CHAIN` … */
export const verdict = (value: Verdict): Expression =>
  expression('immediate', [
    attr.be32(1, NFT_REG_VERDICT), // NFTA_IMMEDIATE_DREG
    dataVerdict(NFTA_IMMEDIATE_DATA, value),
  ]);

/** `masquerade`: the packet leaves with the address of the interface it leaves by. */
export const masquerade = (): Expression => expression('masq', []);
