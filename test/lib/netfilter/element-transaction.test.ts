import test from 'ava';
import { isNetlinkError, type Request } from '#lib/net/netlink.ts';
import { DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import { Nftables } from '#lib/net/nftables.ts';
import {
  commitElements,
  deleteElements,
  deleteIfEmpty,
} from '#lib/netfilter/element-transaction.ts';
import { addIndex, addToIndex, deleteEmptyIndex } from '#lib/netfilter/owner-index.ts';
import { ack, fakeNetlink } from '#test/lib/net/fake-kernel.ts';
import { FakeNftables } from './fake-nftables.ts';

const TABLE: Table = { family: 'ip', name: 'test' };
const KEY = { network: 'n'.repeat(15), attachment: 'a'.repeat(11) };
const OTHER = { network: 'n'.repeat(15), attachment: 'b'.repeat(11) };
const ENOENT = 2;
const EEXIST = 17;

/** The n-th transaction is refused by the n-th errno; those after the last succeed. */
function refusing(errnos: readonly number[]) {
  const left = [...errnos];
  let commits = 0;
  let asked: number[] = [];
  const { netlink } = fakeNetlink(({ type, body }) => {
    if (type === 0x10) {
      commits += 1;
      asked = [];
      return [];
    }
    if (type === 0x11) return [];
    asked.push(body[0] ?? 0);
    return asked.length === 1 ? [ack(left.shift() ?? 0)] : [ack()];
  });
  return {
    nftables: new Nftables(netlink),
    get commits() {
      return commits;
    },
    get asked() {
      return asked;
    },
  };
}

/** A request that is known again by its first byte. */
const request = (mark: number): Request => ({
  op: `op ${mark}`,
  type: 0xa00,
  body: Buffer.of(mark, 0, 0, 0),
});

const transaction = (isWhole: boolean) => ({
  elements: () => [request(1)],
  structure: () => [request(2)],
  isWhole: () => isWhole,
  clear: () => [request(3)],
});

test('commitElements() sends the elements alone where the structure is there', (t) => {
  const kernel = refusing([]);
  commitElements(kernel.nftables, transaction(true));
  t.deepEqual(kernel.asked, [1]);
});

test('commitElements() sends structure and elements where something is missing', (t) => {
  const kernel = refusing([]);
  commitElements(kernel.nftables, transaction(false));
  t.deepEqual(kernel.asked, [2, 1]);
});

test('commitElements() makes the structure when the kernel says that it is not there', (t) => {
  const kernel = refusing([ENOENT]);
  commitElements(kernel.nftables, transaction(true));
  t.deepEqual([kernel.commits, kernel.asked], [2, [2, 1]]);
});

test('commitElements() clears the keys when the kernel says that they are taken', (t) => {
  const kernel = refusing([EEXIST]);
  commitElements(kernel.nftables, transaction(true));
  t.deepEqual([kernel.commits, kernel.asked], [2, [2, 3, 1]]);
});

test('commitElements() gives up after ten transactions that others disturbed', (t) => {
  const kernel = refusing(Array<number>(20).fill(ENOENT));
  t.throws(() => commitElements(kernel.nftables, transaction(true)), { message: /no such file/ });
  t.is(kernel.commits, 10);
});

test('commitElements() does not try again what is refused for another reason', (t) => {
  const kernel = refusing([1]);
  const error = t.throws(() => commitElements(kernel.nftables, transaction(true)));
  t.true(isNetlinkError(error, 'EPERM'));
  t.is(kernel.commits, 1);
});

const REST = [
  nft.deleteRules(TABLE),
  nft.deleteEmptySet(TABLE, 'map'),
  deleteEmptyIndex(TABLE),
  nft.deleteTable(TABLE),
];
const key = (number: number): Uint8Array => Buffer.of(10, 1, 0, number);

/** A table with a chain `inner`, to which `outer` leads, and elements of both owners that lead to `outer`. */
function filled(owners: readonly (typeof KEY)[]): FakeNftables {
  const fake = new FakeNftables();
  fake.nftables.commit([
    nft.addTable(TABLE),
    nft.addMap(TABLE, 'map', { key: DATA_TYPES.ip, value: DATA_TYPES.verdict }),
    addIndex(TABLE, DATA_TYPES.ip),
    nft.addChain(TABLE, 'outer'),
    ...owners.flatMap((owner, number) => [
      nft.addElement(TABLE, 'map', { key: key(number), value: { code: 'goto', chain: 'outer' } }),
      addToIndex(TABLE, owner, 0, { value: key(number) }),
    ]),
  ]);
  fake.commits = 0;
  return fake;
}

const remove = (fake: FakeNftables, owner: typeof KEY): boolean =>
  deleteElements(fake.nftables, { table: TABLE, rest: REST }, owner, (entries) => ({
    requests: entries.map(({ value }) => nft.deleteElement(TABLE, 'map', value ?? key(0))),
    chains: entries.map(() => 'outer'),
  }));

test('deleteElements() of an owner that has none changes nothing', (t) => {
  const fake = filled([KEY]);
  t.false(remove(fake, OTHER));
  t.is(fake.commits, 0);
});

test('deleteElements() keeps what another owner needs', (t) => {
  const fake = filled([KEY, OTHER]);
  t.true(remove(fake, KEY));
  t.deepEqual(fake.summary, { '2 test': { chains: 1, rules: 0, elements: 2 } });
});

test('deleteElements() of the last owner takes chain and table along', (t) => {
  const fake = filled([KEY]);
  t.true(remove(fake, KEY));
  t.deepEqual(fake.summary, {});
});

test('deleteElements() begins again when the chain has got another element meanwhile', (t) => {
  const fake = filled([KEY]);
  fake.disturb = () => {
    fake.nftables.commit([
      nft.addElement(TABLE, 'map', { key: key(9), value: { code: 'goto', chain: 'outer' } }),
      addToIndex(TABLE, OTHER, 0, { value: key(9) }),
    ]);
  };
  t.true(remove(fake, KEY));
  t.deepEqual(fake.summary, { '2 test': { chains: 1, rules: 0, elements: 2 } });
});

test('deleteElements() of two last owners at once leaves no chain: the second to end sees that it is the last', (t) => {
  const fake = filled([KEY, OTHER]);
  fake.disturb = () => void remove(fake, OTHER);
  t.true(remove(fake, KEY));
  t.deepEqual(fake.summary, {});
});

test('deleteElements() gives up after ten transactions that others disturbed', (t) => {
  const fake = filled([KEY]);
  let tries = 0;
  const disturb = () => {
    tries += 1;
    fake.disturb = disturb;
  };
  fake.disturb = disturb;
  const error = t.throws(() =>
    deleteElements(fake.nftables, { table: TABLE, rest: REST }, KEY, () => ({
      requests: [nft.deleteElement(TABLE, 'map', key(77))],
      chains: [],
    })),
  );
  t.true(isNetlinkError(error, 'ENOENT'));
  t.is(tries, 10);
});

test('deleteIfEmpty() deletes a table without owners, and no other', (t) => {
  const [empty, used] = [filled([]), filled([KEY])];
  empty.nftables.commit([nft.deleteChain(TABLE, 'outer')]);
  for (const fake of [empty, used]) deleteIfEmpty(fake.nftables, { table: TABLE, rest: REST });
  t.deepEqual([Object.keys(empty.summary), Object.keys(used.summary)], [[], ['2 test']]);
});
