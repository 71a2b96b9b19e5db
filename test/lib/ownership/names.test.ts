/** Names and comments that say whose a piece of state is; the reference plugins' among them, to the byte. */
import test from 'ava';
import { stateFileName } from '#lib/ownership/file-name.ts';
import {
  COMMENT_LENGTH,
  commentPrefix,
  hashedName,
  isInNetwork,
  ownerComment,
  policyChain,
  prefixIn,
} from '#lib/ownership/owner.ts';

const OWNER = { network: 'net1', containerID: 'cid1', ifName: 'eth0' };

test('commentPrefix() is that of the reference plugins', (t) => {
  // printf net1 | sha512sum | cut -c1-16; printf eth0:cid1 | sha512sum | cut -c1-16
  t.is(commentPrefix(OWNER), '8e48f37d5de60467-0b65a318f52e521b, ');
});

test('a comment begins with the prefix, and is cut at its end', (t) => {
  const comment = ownerComment({ ...OWNER, network: 'n'.repeat(200) });
  t.is(comment.length, COMMENT_LENGTH);
  t.true(comment.startsWith(commentPrefix({ ...OWNER, network: 'n'.repeat(200) })));
  t.is(prefixIn(ownerComment(OWNER)), commentPrefix(OWNER));
  t.is(prefixIn('Uplink to the switch'), '');
});

test('isInNetwork() tells networks apart', (t) => {
  t.true(isInNetwork(ownerComment(OWNER), { network: 'net1' }));
  t.false(isInNetwork(ownerComment(OWNER), { network: 'net2' }));
  t.false(isInNetwork('', { network: 'net1' }));
});

test('hashedName() is that of the reference plugins', (t) => {
  // printf net1cid1 | sha512sum
  t.is(hashedName('CNI-', OWNER, 28), 'CNI-e8f6f419596f7f47b3468487');
  t.is(hashedName('CNI-', OWNER, 28).length, 28);
});

const NUMBERED = { network: '1' };

test('policyChain() does not begin with a digit, and differs by policy', (t) => {
  t.regex(policyChain(NUMBERED, 'a'), /^net-1-[0-9a-f]{8}$/);
  t.not(policyChain(NUMBERED, 'a'), policyChain(NUMBERED, 'b'));
});

test('stateFileName() joins, with a digest where the name would be too long', (t) => {
  t.is(stateFileName(['cid1', 'eth0']), 'cid1:eth0');
  t.is(stateFileName(['cid1', 'eth0'], { separator: '_', ending: '.json' }), 'cid1_eth0.json');
  const longest = 'a'.repeat(250);
  t.is(stateFileName([longest, 'eth0']).length, 255);
  t.regex(stateFileName([`${longest}a`, 'eth0']), /^[0-9a-f]{128}$/);
  t.regex(stateFileName([longest, 'eth0'], { ending: '.json' }), /^[0-9a-f]{128}\.json$/);
  t.regex(stateFileName(['ä'.repeat(128)]), /^[0-9a-f]{128}$/);
});
