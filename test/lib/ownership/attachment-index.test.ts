import test from 'ava';
import { DATA_TYPES, nft, type Table } from '#lib/net/nft-message.ts';
import { addIndex, addToIndex, type IndexKey } from '#lib/netfilter/owner-index.ts';
import {
  entryEvidence,
  indexKey,
  indexKeyOf,
  isOwner,
  listStale,
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

const stale = (
  fake: FakeNftables,
  valid: readonly { containerID: string; ifName: string }[] | undefined,
): IndexKey[] => listStale(fake.nftables, TABLE, { network: 'net1', valid });

test('listStale() with a list of valid attachments lists the others of its own network', (t) => {
  const fake = filled({ cid1: undefined, cid2: undefined, other: undefined });
  t.deepEqual(stale(fake, [owner('cid1')]), [indexKey(owner('cid2'))]);
});

test('listStale() without a list lists those that are provably gone', (t) => {
  const gone = goneEvidence();
  if (gone === undefined) {
    t.log('skipped: this kernel names no mount namespace, so that nothing is evidence');
    t.pass();
    return;
  }
  const live = gone.replace('/run/netns/none', `/proc/${process.pid}/ns/uts`);
  const fake = filled({ cid1: gone, cid2: undefined, cid3: live, other: gone });
  t.deepEqual(stale(fake, undefined), [indexKey(owner('cid1'))]);
});
