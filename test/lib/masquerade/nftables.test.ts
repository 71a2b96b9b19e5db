/** Masquerading as elements of maps, against nf_tables without a kernel. */
import test from 'ava';
import * as fc from 'fast-check';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import {
  addMasquerade,
  deleteMasquerade,
  gcMasquerade,
  missingMasquerade,
} from '#lib/masquerade/nftables.ts';
import { FakeNftables } from '#test/lib/netfilter/fake-nftables.ts';

const POLICY = { nonMasqueradeCIDRs: [Prefix.parse('10.244.0.0/16')] };

const owner = (containerID: string, network = 'net1'): Attachment => ({
  network,
  containerID,
  ifName: 'eth0',
  netns: undefined,
});
const addresses = (number: number): Prefix[] => [
  Prefix.parse(`10.1.0.${number}/24`),
  Prefix.parse(`fd00:1::${number}/64`),
];
const missing = (fake: FakeNftables, who: Attachment, number: number): string[] =>
  missingMasquerade(fake.nftables, who, addresses(number), POLICY).map(String);

test('an ADD makes one element and one index entry a family, and its DEL takes all away', (t) => {
  const fake = new FakeNftables();
  addMasquerade(fake.nftables, owner('a'), addresses(2), POLICY);
  t.deepEqual(
    Object.values(fake.summary).map(({ chains, elements }) => [chains, elements]),
    [
      [2, 2],
      [2, 2],
    ],
  );
  t.deepEqual(missing(fake, owner('a'), 2), []);
  t.deepEqual(missing(fake, owner('b'), 2), ['10.1.0.2', 'fd00:1::2']);
  deleteMasquerade(fake.nftables, owner('a'), true);
  t.deepEqual(fake.summary, {});
});

test('an ADD on a node that has pods sends two elements a family in one transaction', (t) => {
  const fake = new FakeNftables();
  addMasquerade(fake.nftables, owner('a'), addresses(2), POLICY);
  const before = fake.commits;
  addMasquerade(fake.nftables, owner('b'), addresses(3), POLICY);
  t.is(fake.commits, before + 1);
});

test('an address that is given out again is its new owner’s alone', (t) => {
  const fake = new FakeNftables();
  addMasquerade(fake.nftables, owner('a'), addresses(2), POLICY);
  addMasquerade(fake.nftables, owner('b'), addresses(2), POLICY);
  t.deepEqual(missing(fake, owner('b'), 2), []);
  deleteMasquerade(fake.nftables, owner('a'), true);
  t.deepEqual(missing(fake, owner('b'), 2), []);
  deleteMasquerade(fake.nftables, owner('b'), true);
  t.deepEqual(fake.summary, {});
});

test('GC takes away what is not valid, of its own network', (t) => {
  const fake = new FakeNftables();
  addMasquerade(fake.nftables, owner('a'), addresses(2), POLICY);
  addMasquerade(fake.nftables, owner('b'), addresses(3), POLICY);
  addMasquerade(fake.nftables, owner('c', 'net2'), addresses(4), POLICY);
  gcMasquerade(fake.nftables, { network: 'net1', valid: [owner('a')] });
  t.deepEqual(missing(fake, owner('a'), 2), []);
  t.deepEqual(missing(fake, owner('b'), 3), ['10.1.0.3', 'fd00:1::3']);
  t.deepEqual(missing(fake, owner('c', 'net2'), 4), []);
});

test('an emptied chain is noticed, and the next ADD makes it again', (t) => {
  const fake = new FakeNftables();
  addMasquerade(fake.nftables, owner('a'), addresses(2), POLICY);
  fake.flush('postrouting');
  t.deepEqual(missing(fake, owner('a'), 2), ['10.1.0.2', 'fd00:1::2']);
  addMasquerade(fake.nftables, owner('b'), addresses(3), POLICY);
  t.deepEqual(missing(fake, owner('a'), 2), []);
});

test('whatever the order of ADDs and DELs, the living are masqueraded, and the last DEL leaves nothing', (t) => {
  const step = fc.record({ pod: fc.integer({ min: 2, max: 6 }), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const fake = new FakeNftables();
      const living = new Set<number>();
      for (const { pod, add } of steps) {
        if (add) addMasquerade(fake.nftables, owner(`pod${pod}`), addresses(pod), POLICY);
        else deleteMasquerade(fake.nftables, owner(`pod${pod}`), true);
        if (add) living.add(pod);
        else living.delete(pod);
      }
      for (const pod of living) t.deepEqual(missing(fake, owner(`pod${pod}`), pod), []);
      for (const pod of living) deleteMasquerade(fake.nftables, owner(`pod${pod}`), true);
      t.deepEqual(fake.summary, {});
    }),
    { numRuns: 30 },
  );
});
