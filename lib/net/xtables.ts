/**
 * Legacy iptables tables of the kernel (linux/netfilter/x_tables.h), only to ask whether a chain is
 * there.
 */
import type { Family } from '#lib/addr/address.ts';
import { isSysError, sysError } from '#lib/sys/error.ts';
import { readTextIfAny } from '#lib/sys/file.ts';
import { recover } from '#lib/sys/recover.ts';
import { Socket, SOCK_RAW } from '#lib/sys/socket.ts';
import { viewOf } from './attribute.ts';
import { AF } from './rtnl.ts';

/** linux/in.h, linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h */
const SOL = { 4: 0, 6: 41 } as const;
const IPPROTO_RAW = 255;
const SO_GET_INFO = 64;
const SO_GET_ENTRIES = 65;
const TABLE_NAME_BYTES = 32;

/** struct ipt_getinfo: name, hooks, entry points, underflows, number and size of entries. */
const INFO_BYTES = TABLE_NAME_BYTES + 4 + 5 * 4 + 5 * 4 + 4 + 4;

/** Where entries begin in struct ipt_get_entries. */
const ENTRIES_OFFSET = 40;

/**
 * How often reading is tried: rules may be replaced between asking for their size and reading them.
 */
const RACE_LIMIT = 10;

/** The lists of tables in this namespace. A question about any other table would create it. */
const NAMES = {
  4: '/proc/self/net/ip_tables_names',
  6: '/proc/self/net/ip6_tables_names',
} as const;

/** The tables that we ask about. */
export type XtablesName = 'nat' | 'filter';

/**
 * Whether a table has this chain, in the namespace that the thread is in. False without the
 * permission to ask (CAP_NET_ADMIN; in some user namespaces the tables' names can't be read): this
 * process could delete nothing either. @throws SysError
 */
export function hasLegacyChain(family: Family, table: XtablesName, chain: string): boolean {
  return contains(family, table, `${chain}\0`);
}

/**
 * Whether a table has a chain whose name begins so, or a rule that leads to one; false without
 * permission. @throws SysError
 */
export const hasLegacyChains = (family: Family, table: XtablesName, prefix: string): boolean =>
  contains(family, table, prefix);

/**
 * Whether the table's entries contain a text. A user chain starts with an entry with its name,
 * ended by a zero byte.
 */
function contains(family: Family, table: XtablesName, text: string): boolean {
  const read = (): boolean => {
    if (!(readTextIfAny(NAMES[family]) ?? '').split('\n').includes(table)) return false;
    using socket = new Socket(AF[family], SOCK_RAW, IPPROTO_RAW);
    return readEntries(socket, family, table).includes(text);
  };
  return recover(read, sysError('EACCES', 'EPERM')) ?? false;
}

function readEntries(socket: Socket, family: Family, table: XtablesName): Buffer {
  for (let tries = 1; ; tries += 1) {
    const info = request(table, INFO_BYTES);
    socket.getOption(SOL[family], SO_GET_INFO, info);
    const size = viewOf(info).getUint32(INFO_BYTES - 4, true);
    const entries = request(table, ENTRIES_OFFSET + size);
    entries.writeUInt32LE(size, TABLE_NAME_BYTES);
    try {
      socket.getOption(SOL[family], SO_GET_ENTRIES, entries);
      return entries.subarray(ENTRIES_OFFSET);
    } catch (error) {
      if (!isSysError(error, 'EAGAIN') || tries === RACE_LIMIT) throw error;
    }
  }
}

function request(table: XtablesName, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.write(table, 0);
  return buffer;
}
