/** nftables expressions: the steps that a rule is made of (linux/netfilter/nf_tables.h). Pure: values to attributes. */
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
const NFT_REG_1 = 1;
const NFT_PAYLOAD_LINK_HEADER = 0;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFT_CMP_EQ = 0;

/** linux/netfilter/nf_tables.h */
const NFT_META_IIFNAME = 6;

/** What becomes of a packet: linux/netfilter.h, linux/netfilter/nf_tables.h. */
const VERDICTS = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

/** A verdict, with a chain for `jump` and `goto`. */
export interface Verdict {
  readonly code: keyof typeof VERDICTS;
  readonly chain?: string;
}

/** One expression, as an attribute of a rule. */
export type Expression = Attribute;

function expression(name: string, data: readonly Attribute[]): Expression {
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

/** Loads bytes of a packet's header. */
function payload(base: number, offset: number, length: number): Expression {
  return expression('payload', [
    attr.be32(1, NFT_REG_1), // NFTA_PAYLOAD_DREG
    attr.be32(2, base), // NFTA_PAYLOAD_BASE
    attr.be32(3, offset), // NFTA_PAYLOAD_OFFSET
    attr.be32(4, length), // NFTA_PAYLOAD_LEN
  ]);
}

/** Goes on only if what was loaded has this value. */
function equals(value: Uint8Array): Expression {
  return expression('cmp', [
    attr.be32(1, NFT_REG_1), // NFTA_CMP_SREG
    attr.be32(2, NFT_CMP_EQ), // NFTA_CMP_OP
    dataValue(NFTA_CMP_DATA, value),
  ]);
}

/** Keeps the bits of a mask of what was loaded. */
function mask(bytes: Uint8Array): Expression {
  return expression('bitwise', [
    attr.be32(1, NFT_REG_1), // NFTA_BITWISE_SREG
    attr.be32(2, NFT_REG_1), // NFTA_BITWISE_DREG
    attr.be32(3, bytes.length), // NFTA_BITWISE_LEN
    dataValue(4, bytes), // NFTA_BITWISE_MASK
    dataValue(5, new Uint8Array(bytes.length)), // NFTA_BITWISE_XOR
  ]);
}

/** Where IPv4 and IPv6 headers hold their addresses, in bytes. */
const ADDRESS_OFFSETS = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;

/** `ip saddr` or `ip6 daddr`: loads an address of the packet. */
export const loadAddress = (which: 'saddr' | 'daddr', family: Family): Expression =>
  payload(NFT_PAYLOAD_NETWORK_HEADER, ADDRESS_OFFSETS[which][family], ADDRESS_BITS[family] / 8);

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
  payload(NFT_PAYLOAD_LINK_HEADER, 6, 6),
  equals(mac),
];

/** `iifname NAME`: goes on only for packets that came in by this interface. */
export function matchInputInterface(name: string): Expression[] {
  const value = Buffer.alloc(16);
  value.write(name);
  const load = expression('meta', [
    attr.be32(1, NFT_REG_1), // NFTA_META_DREG
    attr.be32(2, NFT_META_IIFNAME), // NFTA_META_KEY
  ]);
  return [load, equals(value)];
}

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
