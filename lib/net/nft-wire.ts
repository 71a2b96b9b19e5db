/**
 * Attribute numbers of nf_tables messages (linux/netfilter/nf_tables.h), and comments as the nft
 * program keeps them.
 */

/** linux/netfilter/nf_tables.h */
export const NFTA_TABLE = { NAME: 1, USE: 3, USERDATA: 6 } as const;
export const NFTA_CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, USE: 6, TYPE: 7 } as const;
export const NFTA_HOOK = { HOOKNUM: 1, PRIORITY: 2 } as const;
export const NFTA_RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const;
export const NFTA_SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  ID: 10,
} as const;
export const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const NFTA_SET_ELEM = { KEY: 1, DATA: 2, USERDATA: 6 } as const;
export const NFTA_LIST_ELEM = 1;

/** The type of comments in user data (libnftnl/udata.h). */
const COMMENT = 0;

/** A comment in the user data of a rule, table or element: type 0, length, text, zero byte. */
export function encodeComment(comment: string): Uint8Array {
  const text = Buffer.from(`${comment}\0`);
  return Buffer.concat([Buffer.from([COMMENT, text.length]), text]);
}

/** The comment in user data, if there is one. */
export function decodeComment(userdata: Uint8Array | undefined): string | undefined {
  let rest = userdata ?? new Uint8Array();
  while (rest.length >= 2) {
    const [type = 0, length = 0] = rest;
    const value = Buffer.from(rest.subarray(2, 2 + length));
    if (type === COMMENT) return value.toString('utf8').replace(/\0.*$/s, '');
    rest = rest.subarray(2 + length);
  }
  return undefined;
}
