import test from 'ava';
import { staleness } from '#lib/ownership/staleness.ts';

const valid = [{ containerID: 'cid1', ifName: 'eth0' }];
const nameOf = ({ network, containerID, ifName }: Readonly<Record<string, string>>): string =>
  `${network} ${containerID} ${ifName}`;
const never = (): boolean => {
  throw new Error('Evidence was asked for');
};

test('with a list, state of a valid attachment stays and other goes, whatever the evidence', (t) => {
  const isStale = staleness({ network: 'net1', valid }, nameOf as never);
  t.false(isStale('net1 cid1 eth0', never));
  t.true(isStale('net1 cid1 eth1', never));
  t.true(isStale('net2 cid1 eth0', never));
});

test('an empty list means that nothing is valid', (t) => {
  t.true(staleness({ network: 'net1', valid: [] }, nameOf as never)('net1 cid1 eth0', never));
});

test('without a list only what is provably gone goes', (t) => {
  const isStale = staleness({ network: 'net1', valid: undefined }, nameOf as never);
  t.false(isStale('net1 cid1 eth0', () => false));
  t.true(isStale('net1 cid1 eth0', () => true));
});

test('state may have one of several names', (t) => {
  const isStale = staleness(
    { network: 'net1', valid },
    nameOf as never,
    ({ containerID }) => containerID,
  );
  t.false(isStale('cid1', never));
  t.true(isStale('cid2', never));
});
