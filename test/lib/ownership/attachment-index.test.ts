import test from 'ava';
import { DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import { addIndex, addToIndex, type IndexKey } from '#lib/netfilter/owner-index.ts';
import {
  entryEvidence,
  indexKey,
  indexKeyOf,
  isOwner,
  releaseStale,
} from '#lib/ownership/attachment-index.ts';
import { ownerComment } from '#lib/ownership/owner.ts';
import { formatSandbox } from '#lib/ownership/sandbox.ts';
import { FakeNftables } from '#test/lib/netfilter/fake-nftables.ts';
import { viewOfThisProcess } from './view.ts';

const TABLE: Table = { family: 'ip', name: 'test' };
const owner = (containerID: string, network = 'net1') => ({ network, containerID, ifName: 'eth0' });

test('a comment names the attachment whose key is computed from its name alone', (t) => {
  t.deepEqual(indexKeyOf(ownerComment(owner('cid1'))), indexKey(owner('cid1')));
  t.true(isOwner(ownerComment(owner('cid1')), indexKey(owner('cid1'))));
  t.false(isOwner(ownerComment(owner('cid1')), indexKey(owner('cid2'))));
  t.false(isOwner(ownerComment(owner('cid1')), indexKey(owner('cid1', 'net2'))));
  t.false(isOwner(undefined, indexKey(owner('cid1'))));
  t.is(indexKeyOf('somebody else'), undefined);
});

test('entryEvidence() of a path that tells nothing is no comment', (t) => {
  t.deepEqual(entryEvidence({ ...owner('cid1'), netns: undefined }), {});
  t.deepEqual(entryEvidence({ ...owner('cid1'), netns: '/run/netns/none' }), {});
});

/** Evidence of a namespace that is not at its path any more. */
function goneEvidence(): string | undefined {
  const view = viewOfThisProcess();
  return view && formatSandbox({ path: '/run/netns/none', id: '4:1', view });
}

function filled(comments: Readonly<Record<string, string | undefined>>): FakeNftables {
  const fake = new FakeNftables();
  const keys = Object.entries(comments).map(([name, comment]) => {
    const key = indexKey(owner(name, name.startsWith('other') ? 'net2' : 'net1'));
    const more = comment === undefined ? {} : { comment };
    return addToIndex(TABLE, key, 0, { value: Buffer.alloc(4), ...more });
  });
  fake.nftables.commit([nft.addTable(TABLE), addIndex(TABLE, DATA_TYPES.ip), ...keys]);
  return fake;
}

function released(
  fake: FakeNftables,
  valid: readonly { containerID: string; ifName: string }[] | undefined,
): IndexKey[] {
  const keys: IndexKey[] = [];
  releaseStale(fake.nftables, TABLE, { network: 'net1', valid }, (key) => keys.push(key));
  return keys;
}

test('releaseStale() with a list releases what is not in it, of its own network', (t) => {
  const fake = filled({ cid1: undefined, cid2: undefined, other: undefined });
  t.deepEqual(released(fake, [owner('cid1')]), [indexKey(owner('cid2'))]);
});

test('releaseStale() without a list releases what is provably gone, and nothing else', (t) => {
  const gone = goneEvidence();
  if (gone === undefined) {
    t.log('skipped: this kernel names no mount namespace, so that nothing is evidence');
    t.pass();
    return;
  }
  const live = gone.replace('/run/netns/none', `/proc/${process.pid}/ns/uts`);
  const fake = filled({ cid1: gone, cid2: undefined, cid3: live, other: gone });
  t.deepEqual(released(fake, undefined), [indexKey(owner('cid1'))]);
});

test('releaseStale() goes on after a failure, and reports all', (t) => {
  const fake = filled({ cid1: undefined, cid2: undefined });
  const asked: IndexKey[] = [];
  const error = t.throws(
    () =>
      releaseStale(fake.nftables, TABLE, { network: 'net1', valid: [] }, (key) => {
        asked.push(key);
        throw new Error('no');
      }),
    { instanceOf: AggregateError },
  );
  t.is(asked.length, 2);
  t.is(error.errors.length, 2);
});
