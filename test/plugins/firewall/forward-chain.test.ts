/** CNI-FORWARD as lines: what is added to a table, and what is taken out of it. */
import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import {
  admissionLines,
  departureLines,
  hasStrangers,
  missingAdmission,
} from '#plugins/firewall/forward-chain.ts';
import { parseTable } from '#lib/netfilter/iptables-table.ts';

const POD = Prefix.parse('10.1.0.2/32');
const OTHER = Prefix.parse('10.1.0.3/32');

const ENTRY = '-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD';
const ADMIN =
  '-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN';
const rulesOf = (pod: Prefix) => [
  `-A CNI-FORWARD -d ${pod} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-A CNI-FORWARD -s ${pod} -j ACCEPT`,
];

const EMPTY = ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD DROP [3:180]', ':OUTPUT ACCEPT [0:0]'];
const CHAINS = [...EMPTY, ':CNI-ADMIN - [0:0]', ':CNI-FORWARD - [0:0]'];

const table = (...lines: readonly string[]) =>
  parseTable([...CHAINS, ...lines, 'COMMIT', ''].join('\n'));

test('admissionLines() makes everything in an empty table', (t) => {
  t.deepEqual(admissionLines(parseTable(EMPTY.join('\n')), [POD], 'CNI-ADMIN'), [
    '-N CNI-FORWARD',
    '-N CNI-ADMIN',
    ENTRY.replace('-A FORWARD', '-I FORWARD 1'),
    ADMIN.replace('-A', '-I'),
    ...rulesOf(POD),
  ]);
});

test('admissionLines() adds the rules of the pod alone to what others made, whatever its comments', (t) => {
  const present = table(ENTRY.replace('rules"', 'rules of old"'), ADMIN, ...rulesOf(OTHER));
  t.deepEqual(admissionLines(present, [POD], 'CNI-ADMIN'), rulesOf(POD));
});

test('admissionLines() adds nothing to what is there', (t) => {
  const present = table(ENTRY, ADMIN, ...rulesOf(POD));
  t.deepEqual(admissionLines(present, [POD], 'CNI-ADMIN'), []);
  t.deepEqual(missingAdmission(present, [POD], 'CNI-ADMIN'), []);
});

test('admissionLines() jumps behind the chain that keeps bridges apart', (t) => {
  const present = table('-A FORWARD -j CNI-ISOLATION-STAGE-1', '-A FORWARD -j DOCKER');
  const [entry = ''] = admissionLines(present, [POD], 'CNI-ADMIN');
  t.true(entry.startsWith('-I FORWARD 2 '));
});

test('admissionLines() makes a second administrator’s chain', (t) => {
  const lines = admissionLines(table(ENTRY, ADMIN), [], 'MINE');
  t.deepEqual(lines, ['-N MINE', ADMIN.replace('-A', '-I').replace('CNI-ADMIN', 'MINE')]);
});

test('missingAdmission() names what is missing', (t) => {
  const present = table(ADMIN, ...rulesOf(POD).slice(1));
  t.deepEqual(missingAdmission(present, [POD], 'CNI-ADMIN'), [
    'FORWARD -j CNI-FORWARD',
    'CNI-FORWARD -d 10.1.0.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  ]);
});

const deleted = (lines: readonly string[]) => lines.map((line) => line.replace(/^-A/, '-D'));
const END = ['-F CNI-FORWARD', '-X CNI-FORWARD'];

test('departureLines() leaves what others have', (t) => {
  const present = table(ENTRY, ADMIN, ...rulesOf(POD), ...rulesOf(OTHER));
  t.deepEqual(departureLines(present, [POD], false), deleted(rulesOf(POD)));
  t.deepEqual(departureLines(present, [POD], true), deleted(rulesOf(POD)), 'no file, but a rule');
});

test('departureLines() takes everything with the last pod, also what is there twice', (t) => {
  const present = table(ENTRY, ENTRY, ADMIN, ...rulesOf(POD), ...rulesOf(POD));
  t.deepEqual(departureLines(present, [POD], true), [
    ...deleted([...rulesOf(POD), ...rulesOf(POD)]),
    ...deleted([ENTRY, ENTRY]),
    ...END,
    '-X CNI-ADMIN',
  ]);
});

test('departureLines() never takes an administrator’s chain that is in use', (t) => {
  const own = [ENTRY, ADMIN, ...rulesOf(POD)];
  for (const use of ['-A CNI-ADMIN -j DROP', '-A INPUT -j CNI-ADMIN']) {
    t.deepEqual(departureLines(table(...own, use), [POD], true).slice(-2), END, use);
  }
});

test('departureLines() leaves a chain that others lead to', (t) => {
  const present = table(ENTRY, ADMIN, ...rulesOf(POD), '-A INPUT -g CNI-FORWARD');
  t.deepEqual(departureLines(present, [POD], true), deleted(rulesOf(POD)));
});

test('departureLines() does nothing in a table without its chain', (t) => {
  t.deepEqual(departureLines(parseTable(EMPTY.join('\n')), [POD], true), []);
});

test('hasStrangers() sees pods that nothing is known of, and no rules of other kinds', (t) => {
  const present = table(ENTRY, ADMIN, ...rulesOf(POD), ...rulesOf(OTHER));
  t.true(hasStrangers(present, [POD]));
  t.false(hasStrangers(present, [POD, OTHER]));
  t.false(hasStrangers(table(ADMIN, '-A CNI-FORWARD -p icmp -j ACCEPT'), []));
});
