/**
 * nf_tables without a kernel: tables, chains with their use, maps with their elements. A transaction is carried out whole or not at all, and
 * refused with the kernel's errnos. Rules are kept, not run.
 */
import { attr, Attributes, encodeAttributes } from '#lib/net/attribute.ts';
import type { Message } from '#lib/net/message.ts';
import { decodeElements, decodeRule, type ListedElement } from '#lib/net/nft-listing.ts';
import { Nftables } from '#lib/net/nftables.ts';
import { NFTA_CHAIN, NFTA_RULE, NFTA_SET, NFTA_TABLE } from '#lib/net/nft-wire.ts';
import { ack, done, fakeNetlink } from '#test/lib/net/fake-kernel.ts';

/** linux/netfilter/nf_tables.h */
const NAMES = [
  'NEWTABLE',
  'GETTABLE',
  'DELTABLE',
  'NEWCHAIN',
  'GETCHAIN',
  'DELCHAIN',
  'NEWRULE',
  'GETRULE',
  'DELRULE',
  'NEWSET',
  'GETSET',
  'DELSET',
  'NEWSETELEM',
  'GETSETELEM',
  'DELSETELEM',
  'NEWGEN',
  'GETGEN',
];
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NLM_F_DUMP = 0x300;
const NLM_F_EXCL = 0x200;

/** asm-generic/errno-base.h */
const ERRNO = { ENOENT: 2, EBUSY: 16, EEXIST: 17 } as const;

type Reply = Omit<Message, 'sequence'>;

interface FakeRule {
  readonly handle: bigint;
  readonly body: Uint8Array;
  readonly targets: readonly string[];
}

interface FakeTable {
  readonly chains: Map<string, FakeRule[]>;
  /** Elements by their keys in hexadecimal: the body of the request that made them. */
  readonly sets: Map<string, Map<string, Uint8Array>>;
}

const keyOf = ({ key }: ListedElement): string => Buffer.from(key).toString('hex');

const elementOf = (body: Uint8Array): ListedElement | undefined =>
  decodeElements({ type: 0, flags: 0, sequence: 0, body })[0];

const sum = (sizes: readonly number[]): number => sizes.reduce((a, b) => a + b, 0);

class Refused extends Error {
  readonly errno: number;

  constructor(code: keyof typeof ERRNO) {
    super(code);
    this.errno = ERRNO[code];
  }
}

/** The tables, and a conversation about them. */
export class FakeNftables {
  #tables = new Map<string, FakeTable>();
  #before = this.#tables;
  #isRefused = false;
  #handle = 0n;
  readonly nftables: Nftables;
  /** How many transactions were asked for. */
  commits = 0;
  /** Called before each transaction: what another process does in between. */
  disturb: (() => void) | undefined;

  constructor() {
    this.nftables = new Nftables(fakeNetlink((message) => this.#answer(message)).netlink);
  }

  /** Names of the tables, with how many chains, rules and elements they have. */
  get summary(): Record<string, { chains: number; rules: number; elements: number }> {
    return Object.fromEntries(
      [...this.#tables].map(([name, { chains, sets }]) => [
        name,
        {
          chains: chains.size,
          rules: sum([...chains.values()].map((rules) => rules.length)),
          elements: sum([...sets.values()].map((elements) => elements.size)),
        },
      ]),
    );
  }

  /** Empties a chain of every table, as an administrator may. */
  flush(chain: string): void {
    for (const { chains } of this.#tables.values()) if (chains.has(chain)) chains.set(chain, []);
  }

  #answer(message: Message): Reply[] {
    if (message.type === BATCH_BEGIN) {
      this.commits += 1;
      const disturb = this.disturb;
      this.disturb = undefined;
      disturb?.();
      this.#before = structuredClone(this.#tables);
      this.#isRefused = false;
      return [];
    }
    if (message.type === BATCH_END) {
      if (this.#isRefused) this.#tables = this.#before;
      return [];
    }
    const replies = this.#carryOut(message);
    if (replies instanceof Refused) {
      // The others are tried too, but nothing of the transaction will stay.
      this.#isRefused = true;
      return [ack(replies.errno)];
    }
    return [...replies, (message.flags & NLM_F_DUMP) === NLM_F_DUMP ? done() : ack()];
  }

  #carryOut(message: Message): Reply[] | Refused {
    try {
      return this.#run(NAMES[message.type & 0xff] ?? '', message);
    } catch (error) {
      if (error instanceof Refused) return error;
      throw error;
    }
  }

  #run(name: string, { body, flags }: Message): Reply[] {
    const attributes = Attributes.decode(body.subarray(4));
    const text = (type: number) => attributes.text(type) ?? '';
    const family = body[0] ?? 0;
    // Of everything but tables, attribute 1 is the table.
    const tableName = `${family} ${text(NFTA_TABLE.NAME)}`;
    const table = this.#tables.get(tableName);
    if (name === 'NEWTABLE') {
      if (table === undefined) this.#tables.set(tableName, { chains: new Map(), sets: new Map() });
      return [];
    }
    if (table === undefined) throw new Refused('ENOENT');
    switch (name) {
      case 'DELTABLE':
        this.#tables.delete(tableName);
        return [];
      case 'GETTABLE':
        return [reply([attr.be32(NFTA_TABLE.USE, table.chains.size + table.sets.size)])];
      case 'NEWCHAIN':
      case 'GETCHAIN':
      case 'DELCHAIN':
        return chainRequest(name, table, text(NFTA_CHAIN.NAME));
      case 'NEWSET':
        if (!table.sets.has(text(NFTA_SET.NAME))) table.sets.set(text(NFTA_SET.NAME), new Map());
        return [];
      case 'DELSET':
        if (found(table.sets, text(NFTA_SET.NAME)).size > 0) throw new Refused('EBUSY');
        table.sets.delete(text(NFTA_SET.NAME));
        return [];
      case 'NEWRULE':
      case 'GETRULE':
      case 'DELRULE':
        return this.#ruleRequest(name, table, body);
      default:
        return elementRequest(name, table, { set: text(NFTA_SET.NAME), body, flags });
    }
  }

  #ruleRequest(name: string, table: FakeTable, body: Uint8Array): Reply[] {
    const attributes = Attributes.decode(body.subarray(4));
    const chain = attributes.text(NFTA_RULE.CHAIN);
    const handle = attributes.be64(NFTA_RULE.HANDLE);
    const chains = chain === undefined ? [...table.chains.keys()] : [chain];
    if (name === 'GETRULE') {
      return chains
        .flatMap((one) => table.chains.get(one) ?? [])
        .map((rule) => ({
          type: 0,
          flags: 0,
          body: Buffer.concat([
            rule.body,
            encodeAttributes([attr.be64(NFTA_RULE.HANDLE, rule.handle)]),
          ]),
        }));
    }
    for (const one of chains) {
      const rules = found(table.chains, one);
      if (name === 'NEWRULE') {
        this.#handle += 1n;
        const { targets } = decodeRule({ type: 0, flags: 0, sequence: 0, body });
        for (const target of targets) found(table.chains, target);
        rules.push({ handle: this.#handle, body, targets });
      } else {
        const rest = rules.filter((rule) => handle !== undefined && rule.handle !== handle);
        if (handle !== undefined && rest.length === rules.length) throw new Refused('ENOENT');
        table.chains.set(one, rest);
      }
    }
    return [];
  }
}

function found<T>(map: Map<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Refused('ENOENT');
  return value;
}

const reply = (attributes: Parameters<typeof encodeAttributes>[0]): Reply => ({
  type: 0,
  flags: 0,
  body: Buffer.concat([Buffer.alloc(4), encodeAttributes(attributes)]),
});

/** Rules in a chain, and rules and elements that lead to it. */
function useOf({ chains, sets }: FakeTable, chain: string): number {
  const jumps = [...chains.values()].flat().filter(({ targets }) => targets.includes(chain));
  const elements = [...sets.values()].flatMap((set) => [...set.values()]);
  const leading = elements.filter((body) => elementOf(body)?.chain === chain);
  return found(chains, chain).length + jumps.length + leading.length;
}

function chainRequest(name: string, table: FakeTable, chain: string): Reply[] {
  if (name === 'NEWCHAIN') {
    if (!table.chains.has(chain)) table.chains.set(chain, []);
    return [];
  }
  const use = useOf(table, chain);
  if (name === 'GETCHAIN') return [reply([attr.be32(NFTA_CHAIN.USE, use)])];
  if (use > 0) throw new Refused('EBUSY');
  table.chains.delete(chain);
  return [];
}

function elementRequest(
  name: string,
  table: FakeTable,
  { set, body, flags }: { set: string; body: Uint8Array; flags: number },
): Reply[] {
  const elements = found(table.sets, set);
  const element = elementOf(body);
  if (name === 'GETSETELEM' && (flags & NLM_F_DUMP) === NLM_F_DUMP) {
    return [...elements.values()].map((one) => ({ type: 0, flags: 0, body: one }));
  }
  const key = element === undefined ? '' : keyOf(element);
  const present = elements.get(key);
  if (name === 'NEWSETELEM') {
    if (present !== undefined && (flags & NLM_F_EXCL) !== 0) throw new Refused('EEXIST');
    if (element?.chain !== undefined) found(table.chains, element.chain);
    elements.set(key, body);
    return [];
  }
  if (present === undefined) throw new Refused('ENOENT');
  if (name === 'GETSETELEM') return [{ type: 0, flags: 0, body: present }];
  elements.delete(key);
  return [];
}
