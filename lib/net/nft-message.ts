/** nf_tables requests (linux/netfilter/nf_tables.h), as values turned into bytes. Pure. */
import { attr, type Attribute, encodeAttributes } from './attribute.ts';
import { NLM_F } from './message.ts';
import type { Request } from './netlink.ts';
import { dataValue, dataVerdict, type Expression, type Verdict } from './nft-expression.ts';
import {
  encodeComment,
  NFTA_CHAIN,
  NFTA_HOOK,
  NFTA_LIST_ELEM,
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFTA_TABLE,
} from './nft-wire.ts';

/** linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  GETGEN: 16,
} as const;

const NFT_SET_MAP = 0x8;
const NFT_DATA_VERDICT = 0xffffff00;

/** linux/netfilter.h: NFPROTO_*, which tables belong to. */
const FAMILIES = { inet: 1, ip: 2, bridge: 7, ip6: 10 } as const;

/** linux/netfilter.h, linux/netfilter_bridge.h: points in a packet's way. */
const HOOKS = { prerouting: 0, output: 3, postrouting: 4 } as const;

/** The family of a table: `ip` and `ip6` see one protocol each, `inet` both, `bridge` frames. */
type TableFamily = keyof typeof FAMILIES;

/** A table by its family and name. */
export interface Table {
  readonly family: TableFamily;
  readonly name: string;
}

/** A chain that the kernel sends packets through: what type of work, where, in which order. */
export interface Hook {
  readonly type: 'nat' | 'filter';
  readonly hook: keyof typeof HOOKS;
  readonly priority: number;
}

/**
 * A type of set keys or map values: the number that the nft program shows it by, and its length.
 */
export interface DataType {
  readonly number: number;
  readonly bytes: number;
}

/** Types as the nft program numbers them. */
export const DATA_TYPES = {
  ip: { number: 7, bytes: 4 },
  ip6: { number: 8, bytes: 16 },
  protocol: { number: 12, bytes: 1 },
  port: { number: 13, bytes: 2 },
  ifname: { number: 41, bytes: 16 },
  verdict: { number: NFT_DATA_VERDICT, bytes: 0 },
} as const satisfies Record<string, DataType>;

/**
 * Types side by side, such as `ipv4_addr . inet_service`; each takes whole registers of four bytes.
 */
export const concatenation = (...types: readonly DataType[]): DataType => ({
  number: types.reduce((sum, { number }) => (sum << 6) | number, 0),
  bytes: types.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 4) * 4, 0),
});

/** An element of a map. */
export interface Element {
  readonly key: Uint8Array;
  readonly value?: Uint8Array | Verdict;
  readonly comment?: string;
}

function request(
  op: string,
  message: keyof typeof NFT_MSG,
  options: { family: TableFamily | 'unspec'; flags?: number; attributes: readonly Attribute[] },
): Request {
  const { family, flags = 0, attributes } = options;
  const header = Buffer.from([family === 'unspec' ? 0 : FAMILIES[family], 0, 0, 0]);
  return {
    op,
    type: (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG[message],
    flags,
    body: Buffer.concat([header, encodeAttributes(attributes)]),
  };
}

/** The messages that begin and end a transaction. */
export const BATCH = {
  begin: batchLimit('begin transaction', NFNL_MSG_BATCH_BEGIN),
  end: batchLimit('commit transaction', NFNL_MSG_BATCH_END),
} as const;

function batchLimit(op: string, type: number): Request {
  return { op, type, body: Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES]) };
}

const label = ({ family, name }: Table): string => `${family} ${name}`;

/** Requests, each as the `nft` command of its name. */
export const nft = {
  getGeneration: () => request('show generation', 'GETGEN', { family: 'unspec', attributes: [] }),

  getTable: (table: Table) =>
    request(`show table ${label(table)}`, 'GETTABLE', {
      family: table.family,
      attributes: [attr.text(NFTA_TABLE.NAME, table.name)],
    }),

  /** Accepts one that exists. */
  addTable: (table: Table, comment?: string) =>
    request(`add table ${label(table)}`, 'NEWTABLE', {
      family: table.family,
      flags: NLM_F.CREATE,
      attributes: [
        attr.text(NFTA_TABLE.NAME, table.name),
        ...(comment === undefined ? [] : [attr.bytes(NFTA_TABLE.USERDATA, encodeComment(comment))]),
      ],
    }),

  /** With all that is in it. */
  deleteTable: (table: Table) =>
    request(`delete table ${label(table)}`, 'DELTABLE', {
      family: table.family,
      attributes: [attr.text(NFTA_TABLE.NAME, table.name)],
    }),

  /** Refused with EBUSY while anything is in it. */
  deleteEmptyTable: (table: Table) =>
    request(`delete table ${label(table)}`, 'DELTABLE', {
      family: table.family,
      flags: NLM_F.NONREC,
      attributes: [attr.text(NFTA_TABLE.NAME, table.name)],
    }),

  getChain: (table: Table, chain: string) =>
    request(`show chain ${label(table)} ${chain}`, 'GETCHAIN', {
      family: table.family,
      attributes: [attr.text(NFTA_CHAIN.TABLE, table.name), attr.text(NFTA_CHAIN.NAME, chain)],
    }),

  /** Accepts one that exists. */
  addChain: (table: Table, chain: string, hook?: Hook) =>
    request(`add chain ${label(table)} ${chain}`, 'NEWCHAIN', {
      family: table.family,
      flags: NLM_F.CREATE,
      attributes: [
        attr.text(NFTA_CHAIN.TABLE, table.name),
        attr.text(NFTA_CHAIN.NAME, chain),
        ...(hook === undefined
          ? []
          : [
              attr.nested(NFTA_CHAIN.HOOK, [
                attr.be32(NFTA_HOOK.HOOKNUM, HOOKS[hook.hook]),
                attr.be32(NFTA_HOOK.PRIORITY, hook.priority),
              ]),
              attr.text(NFTA_CHAIN.TYPE, hook.type),
            ]),
      ],
    }),

  /** Refused with EBUSY while rules or elements lead to it. */
  deleteChain: (table: Table, chain: string) =>
    request(`delete chain ${label(table)} ${chain}`, 'DELCHAIN', {
      family: table.family,
      attributes: [attr.text(NFTA_CHAIN.TABLE, table.name), attr.text(NFTA_CHAIN.NAME, chain)],
    }),

  addRule: (table: Table, chain: string, expressions: readonly Expression[], comment?: string) =>
    request(`add rule ${label(table)} ${chain}`, 'NEWRULE', {
      family: table.family,
      flags: NLM_F.CREATE | NLM_F.APPEND,
      attributes: [
        attr.text(NFTA_RULE.TABLE, table.name),
        attr.text(NFTA_RULE.CHAIN, chain),
        attr.nested(NFTA_RULE.EXPRESSIONS, expressions),
        ...(comment === undefined ? [] : [attr.bytes(NFTA_RULE.USERDATA, encodeComment(comment))]),
      ],
    }),

  /** Deletes one rule by its handle, all rules of a chain, or all of the table. */
  deleteRules: (table: Table, chain?: string, handle?: bigint) =>
    request(`delete rule ${label(table)} ${chain ?? ''} ${handle ?? ''}`.trimEnd(), 'DELRULE', {
      family: table.family,
      attributes: [
        attr.text(NFTA_RULE.TABLE, table.name),
        ...(chain === undefined ? [] : [attr.text(NFTA_RULE.CHAIN, chain)]),
        ...(handle === undefined ? [] : [attr.be64(NFTA_RULE.HANDLE, handle)]),
      ],
    }),

  /** The rules of a chain, or all of the table. */
  listRules: (table: Table, chain?: string) =>
    request(`list rules ${label(table)} ${chain ?? ''}`.trimEnd(), 'GETRULE', {
      family: table.family,
      attributes: [
        attr.text(NFTA_RULE.TABLE, table.name),
        ...(chain === undefined ? [] : [attr.text(NFTA_RULE.CHAIN, chain)]),
      ],
    }),

  /** Accepts one that exists with the same types. */
  addMap: (table: Table, set: string, { key, value }: { key: DataType; value: DataType }) =>
    request(`add map ${label(table)} ${set}`, 'NEWSET', {
      family: table.family,
      flags: NLM_F.CREATE,
      attributes: [
        attr.text(NFTA_SET.TABLE, table.name),
        attr.text(NFTA_SET.NAME, set),
        attr.be32(NFTA_SET.FLAGS, NFT_SET_MAP),
        attr.be32(NFTA_SET.KEY_TYPE, key.number),
        attr.be32(NFTA_SET.KEY_LEN, key.bytes),
        attr.be32(NFTA_SET.DATA_TYPE, value.number),
        attr.be32(NFTA_SET.DATA_LEN, value.bytes),
        attr.be32(NFTA_SET.ID, 1),
      ],
    }),

  /** Refused with EBUSY while it has elements or rules use it. */
  deleteEmptySet: (table: Table, set: string) =>
    request(`delete set ${label(table)} ${set}`, 'DELSET', {
      family: table.family,
      flags: NLM_F.NONREC,
      attributes: [attr.text(NFTA_SET.TABLE, table.name), attr.text(NFTA_SET.NAME, set)],
    }),

  /** Refused with EEXIST if the key is there. */
  addElement: (table: Table, set: string, element: Element) =>
    elementRequest('NEWSETELEM', { table, set, element, flags: NLM_F.CREATE | NLM_F.EXCL }),

  deleteElement: (table: Table, set: string, key: Uint8Array) =>
    elementRequest('DELSETELEM', { table, set, element: { key } }),

  getElement: (table: Table, set: string, key: Uint8Array) =>
    elementRequest('GETSETELEM', { table, set, element: { key } }),

  listElements: (table: Table, set: string) =>
    request(`list set ${label(table)} ${set}`, 'GETSETELEM', {
      family: table.family,
      attributes: [
        attr.text(NFTA_SET_ELEM_LIST.TABLE, table.name),
        attr.text(NFTA_SET_ELEM_LIST.SET, set),
      ],
    }),
} as const;

function elementRequest(
  message: 'NEWSETELEM' | 'DELSETELEM' | 'GETSETELEM',
  options: { table: Table; set: string; element: Element; flags?: number },
): Request {
  const { table, set, element, flags = 0 } = options;
  const verb = { NEWSETELEM: 'add', DELSETELEM: 'delete', GETSETELEM: 'get' }[message];
  return request(`${verb} element ${label(table)} ${set}`, message, {
    family: table.family,
    flags,
    attributes: [
      attr.text(NFTA_SET_ELEM_LIST.TABLE, table.name),
      attr.text(NFTA_SET_ELEM_LIST.SET, set),
      attr.nested(NFTA_SET_ELEM_LIST.ELEMENTS, [
        attr.nested(NFTA_LIST_ELEM, encodeElement(element)),
      ]),
    ],
  });
}

function encodeElement({ key, value, comment }: Element): Attribute[] {
  const attributes = [dataValue(NFTA_SET_ELEM.KEY, key)];
  if (value instanceof Uint8Array) attributes.push(dataValue(NFTA_SET_ELEM.DATA, value));
  else if (value !== undefined) attributes.push(dataVerdict(NFTA_SET_ELEM.DATA, value));
  if (comment !== undefined) {
    attributes.push(attr.bytes(NFTA_SET_ELEM.USERDATA, encodeComment(comment)));
  }
  return attributes;
}
