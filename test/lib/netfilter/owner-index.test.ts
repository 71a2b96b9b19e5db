import test from 'ava';
import { DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import {
  addIndex,
  addToIndex,
  decodeIndexKey,
  encodeIndexKey,
  INDEX_KEY_TYPE,
  type IndexKey,
  isIndexEmpty,
  isSameKey,
  listIndex,
  listOwners,
} from '#lib/netfilter/owner-index.ts';
import { FakeNftables } from './fake-nftables.ts';

const TABLE: Table = { family: 'ip', name: 'test' };
const A: IndexKey = { network: '0123456789abcde', attachment: '0123456789a' };
const B: IndexKey = { network: '0123456789abcde', attachment: 'b123456789a' };
const ELSEWHERE: IndexKey = { network: 'f123456789abcde', attachment: '0123456789a' };

function indexOf(...entries: readonly (readonly [IndexKey, number])[]): FakeNftables {
  const fake = new FakeNftables();
  fake.nftables.commit([
    nft.addTable(TABLE),
    addIndex(TABLE, DATA_TYPES.ip),
    ...entries.map(([key, number]) =>
      addToIndex(TABLE, key, number, { value: Buffer.of(10, 1, 0, number), comment: `n${number}` }),
    ),
  ]);
  return fake;
}

test('a key and its number take the whole type; the key is read again without the number', (t) => {
  for (const number of [0, 1, 35, 36, 36 ** 4 - 1]) {
    const bytes = encodeIndexKey(A, number);
    t.is(bytes.length, INDEX_KEY_TYPE.bytes);
    t.deepEqual(decodeIndexKey(bytes), A);
  }
  t.notDeepEqual(encodeIndexKey(A, 1), encodeIndexKey(A, 36));
});

test('isSameKey() compares both parts', (t) => {
  t.true(isSameKey(A, { ...A }));
  t.false(isSameKey(A, B));
  t.false(isSameKey(A, ELSEWHERE));
});

test('listIndex() reads the numbers of one owner up to the first that is missing', (t) => {
  const { nftables } = indexOf([A, 0], [A, 1], [A, 3], [B, 0]);
  const numbers = listIndex(nftables, TABLE, A).map(({ value }) => value?.[3]);
  t.deepEqual(numbers, [0, 1]);
  t.deepEqual(listIndex(nftables, TABLE, ELSEWHERE), []);
});

test('listOwners() names each owner of a network once', (t) => {
  const { nftables } = indexOf([A, 0], [A, 1], [B, 0], [ELSEWHERE, 0]);
  t.deepEqual(
    listOwners(nftables, TABLE, A.network).map(({ key }) => key),
    [A, B],
  );
  t.deepEqual(listOwners(nftables, { ...TABLE, name: 'none' }, A.network), []);
});

test('isIndexEmpty() of no entry, and of one', (t) => {
  t.true(isIndexEmpty(indexOf().nftables, TABLE));
  t.false(isIndexEmpty(indexOf([A, 0]).nftables, TABLE));
});
