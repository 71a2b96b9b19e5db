/** Conversations with nf_tables: transactions, and questions about objects that may be absent. */
import type { Netns } from '#lib/sys/netns.ts';
import { recover, succeeds } from '#lib/sys/recover.ts';
import {
  absentAsUndefined,
  type Netlink,
  NETLINK_NETFILTER,
  netlinkError,
  openNetlink,
  type Request,
} from './netlink.ts';
import {
  decodeChainUse,
  decodeElements,
  decodeRule,
  decodeRuleChain,
  decodeTableUse,
  type ListedElement,
  type ListedRule,
} from './nft-listing.ts';
import { BATCH, nft, type Table } from './nft-message.ts';
import type { Message } from './message.ts';

/** A conversation with nf_tables in one namespace; `using` ends it. Needs CAP_NET_ADMIN there. */
export class Nftables implements Disposable {
  readonly #netlink: Netlink;

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  /** Carries out all requests or none. @throws NetlinkError */
  commit(requests: readonly Request[]): void {
    this.#netlink.batch(BATCH, requests);
  }

  /**
   * Carries out all deletions or none. If an object is gone already (ENOENT), none is carried out,
   * and that is accepted: another call was quicker, such as a second DEL of the same pod. With
   * `unlessUsed` it is also accepted that an object is in use again (EBUSY). @throws NetlinkError
   */
  delete(requests: readonly Request[], { unlessUsed = false } = {}): void {
    const expected = unlessUsed ? netlinkError('ENOENT', 'EBUSY') : netlinkError('ENOENT');
    recover(() => this.commit(requests), expected);
  }

  /** Whether this kernel has nf_tables at all. */
  isSupported(): boolean {
    // The reason does not matter (no module, no permission to load it): it can't be used.
    return succeeds(() => void this.#netlink.request(nft.getGeneration()), netlinkError());
  }

  hasTable(table: Table): boolean {
    return this.tableUse(table) !== undefined;
  }

  /** Chains, sets and maps in a table; undefined if there is no such table. */
  tableUse(table: Table): number | undefined {
    const [message] = this.#ask(nft.getTable(table)) ?? [];
    return message && decodeTableUse(message);
  }

  hasChain(table: Table, chain: string): boolean {
    return this.chainUse(table, chain) !== undefined;
  }

  /**
   * Rules in a chain, plus rules and elements that lead to it; undefined if there is no such chain.
   */
  chainUse(table: Table, chain: string): number | undefined {
    const [message] = this.#ask(nft.getChain(table, chain)) ?? [];
    return message && decodeChainUse(message);
  }

  /** The rules of a chain; none if there is no such chain. */
  listRules(table: Table, chain: string): ListedRule[] {
    return this.#list(nft.listRules(table, chain)).map(decodeRule);
  }

  /** The chains of a table that have rules; none if there is no such table. */
  listRuledChains(table: Table): ReadonlySet<string> {
    return new Set(this.#list(nft.listRules(table)).map(decodeRuleChain));
  }

  /** An element by its key, or undefined. */
  getElement(table: Table, set: string, key: Uint8Array): ListedElement | undefined {
    return (this.#ask(nft.getElement(table, set, key)) ?? []).flatMap(decodeElements)[0];
  }

  /** The elements of a set; none if there is no such set. */
  listElements(table: Table, set: string): ListedElement[] {
    return this.#list(nft.listElements(table, set)).flatMap(decodeElements);
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }

  #ask(request: Request): Message[] | undefined {
    return absentAsUndefined(() => this.#netlink.request(request));
  }

  #list(request: Request): Message[] {
    return absentAsUndefined(() => this.#netlink.dump(request)) ?? [];
  }
}

/** Opens nf_tables in a namespace, by default the program's own. @throws SysError */
export function openNftables(netns?: Netns): Nftables {
  return new Nftables(openNetlink(NETLINK_NETFILTER, netns));
}
