/** Answers of nf_tables: chains, rules and elements as listed. Pure: bytes to values. */
import { Attributes } from './attribute.ts';
import type { Message } from './message.ts';
import {
  decodeExpression,
  NFTA_CMP_DATA,
  NFTA_DATA,
  NFTA_IMMEDIATE_DATA,
  NFTA_VERDICT,
} from './nft-expression.ts';
import {
  decodeComment,
  NFTA_CHAIN,
  NFTA_RULE,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFTA_TABLE,
} from './nft-wire.ts';

/** struct nfgenmsg stands before the attributes. */
const attributesOf = ({ body }: Message): Attributes => Attributes.decode(body.subarray(4));

/** How many chains, sets and maps a table has. */
export const decodeTableUse = (message: Message): number =>
  attributesOf(message).be32(NFTA_TABLE.USE) ?? 0;

/** How many rules a chain has, plus how many rules and elements lead to it. */
export const decodeChainUse = (message: Message): number =>
  attributesOf(message).be32(NFTA_CHAIN.USE) ?? 0;

/** The chain that a rule of a list is in. */
export const decodeRuleChain = (message: Message): string =>
  attributesOf(message).text(NFTA_RULE.CHAIN) ?? '';

/**
 * A rule as listed: what it is known by, the chains it jumps or goes to, the values it compares
 * with or puts in.
 */
export interface ListedRule {
  readonly handle: bigint;
  readonly comment: string | undefined;
  readonly targets: readonly string[];
  readonly values: readonly Uint8Array[];
}

/** Reads one rule of a list. @throws MalformedMessage */
export function decodeRule(message: Message): ListedRule {
  const attributes = attributesOf(message);
  const expressions = attributes
    .nested(NFTA_RULE.EXPRESSIONS)
    .list.map(({ value }) => decodeExpression(Attributes.decode(value)));
  const named = (name: string) => expressions.filter((expression) => expression.name === name);
  return {
    handle: attributes.be64(NFTA_RULE.HANDLE) ?? 0n,
    comment: decodeComment(attributes.bytes(NFTA_RULE.USERDATA)),
    targets: named('immediate')
      .map(({ data }) => verdictChain(data.nested(NFTA_IMMEDIATE_DATA)))
      .filter((chain) => chain !== undefined),
    values: [
      ...named('cmp').map(({ data }) => data.nested(NFTA_CMP_DATA)),
      ...named('immediate').map(({ data }) => data.nested(NFTA_IMMEDIATE_DATA)),
    ]
      .map((data) => data.bytes(NFTA_DATA.VALUE))
      .filter((value) => value !== undefined),
  };
}

/** The chain that a verdict names. */
const verdictChain = (data: Attributes): string | undefined =>
  data.nested(NFTA_DATA.VERDICT).text(NFTA_VERDICT.CHAIN);

/** An element as listed: `value` for plain maps, `chain` for verdict maps. */
export interface ListedElement {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly chain: string | undefined;
  readonly comment: string | undefined;
}

/** Reads the elements that one message of a list carries. @throws MalformedMessage */
export function decodeElements(message: Message): ListedElement[] {
  const elements = attributesOf(message).nested(NFTA_SET_ELEM_LIST.ELEMENTS).list;
  return elements.map(({ value }) => {
    const element = Attributes.decode(value);
    const data = element.nested(NFTA_SET_ELEM.DATA);
    return {
      key: element.nested(NFTA_SET_ELEM.KEY).bytes(NFTA_DATA.VALUE) ?? new Uint8Array(),
      value: data.bytes(NFTA_DATA.VALUE),
      chain: verdictChain(data),
      comment: decodeComment(element.bytes(NFTA_SET_ELEM.USERDATA)),
    };
  });
}
