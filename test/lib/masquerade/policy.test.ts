import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import { exemptions, MULTICAST } from '#lib/masquerade/policy.ts';

const texts = (address: string, ...cidrs: string[]): string[] =>
  exemptions(Prefix.parse(address), {
    nonMasqueradeCIDRs: cidrs.map((one) => Prefix.parse(one)),
  }).map(String);

test('a pod keeps its address in its own subnet and in the exempt networks of its family', (t) => {
  t.deepEqual(texts('10.1.0.2/24', '10.244.0.9/16', 'fd00::/8'), ['10.1.0.0/24', '10.244.0.0/16']);
  t.deepEqual(texts('fd00:1::2/64', '10.244.0.0/16'), ['fd00:1::/64']);
});

test('a subnet that is named again is exempt once', (t) => {
  t.deepEqual(texts('10.1.0.2/24', '10.1.0.0/24'), ['10.1.0.0/24']);
});

test('groups are exempt in both families', (t) => {
  t.deepEqual([String(MULTICAST[4]), String(MULTICAST[6])], ['224.0.0.0/4', 'ff00::/8']);
});
