/** The isolation chains as lines. */
import test from 'ava';
import {
  type Isolation,
  isolationLines,
  missingIsolation,
  releaseLines,
} from '#plugins/firewall/isolation.ts';
import { parseTable } from '#lib/netfilter/iptables-table.ts';

const SAME: Isolation = { bridge: 'br0', policy: 'same-bridge' };
const ISOLATED: Isolation = { bridge: 'br0', policy: 'isolated' };
const BR1: Isolation = { bridge: 'br1', policy: 'same-bridge' };

const note = (policy: string) =>
  `-m comment --comment "CNI firewall plugin rules (ingressPolicy: ${policy})"`;
const S = note('same-bridge');
const CHAINS = [
  ':FORWARD ACCEPT [0:0]',
  ':CNI-ISOLATION-STAGE-1 - [0:0]',
  ':CNI-ISOLATION-STAGE-2 - [0:0]',
];
const ENTRY = `-A FORWARD ${S} -j CNI-ISOLATION-STAGE-1`;
const RETURNS = [
  `-A CNI-ISOLATION-STAGE-1 ${S} -j RETURN`,
  `-A CNI-ISOLATION-STAGE-2 ${S} -j RETURN`,
];
const leave = (bridge: string, policy = 'same-bridge') =>
  `-A CNI-ISOLATION-STAGE-1 -i ${bridge} ! -o ${bridge} ${note(policy)} -j CNI-ISOLATION-STAGE-2`;
const enter = (bridge: string) => `-A CNI-ISOLATION-STAGE-2 -o ${bridge} ${S} -j DROP`;
const STAY = `-A CNI-ISOLATION-STAGE-1 -i br0 -o br0 ${note('isolated')} -j DROP`;

const table = (...lines: readonly string[]) => parseTable([...CHAINS, ...lines].join('\n'));
const inserted = (line: string) => line.replace(/^-A/, '-I');
const deleted = (line: string) => line.replace(/^-A/, '-D');
const END = [
  deleted(ENTRY),
  '-F CNI-ISOLATION-STAGE-1',
  '-F CNI-ISOLATION-STAGE-2',
  '-X CNI-ISOLATION-STAGE-1',
  '-X CNI-ISOLATION-STAGE-2',
];

test('isolationLines() makes chains, rules before RETURN, and the jump first', (t) => {
  t.deepEqual(isolationLines(parseTable(':FORWARD ACCEPT [0:0]'), ISOLATED), [
    '-N CNI-ISOLATION-STAGE-1',
    '-N CNI-ISOLATION-STAGE-2',
    inserted(leave('br0', 'isolated')),
    inserted(STAY),
    inserted(enter('br0')),
    ...RETURNS,
    inserted(ENTRY),
  ]);
});

test('isolationLines() adds nothing to what is there, in whichever words', (t) => {
  const present = table(ENTRY, leave('br0', 'isolated'), enter('br0'), ...RETURNS);
  t.deepEqual(isolationLines(present, SAME), []);
  t.deepEqual(isolationLines(present, ISOLATED), [inserted(STAY)]);
});

test('isolationLines() brings the jump before the one that accepts', (t) => {
  const pods = '-A FORWARD -j CNI-FORWARD';
  const present = table(pods, ENTRY, leave('br0'), enter('br0'), ...RETURNS);
  t.deepEqual(isolationLines(present, SAME), [deleted(ENTRY), inserted(ENTRY)]);
  t.deepEqual(missingIsolation(present, SAME), ['FORWARD -j CNI-ISOLATION-STAGE-1']);
});

test('releaseLines() leaves the bridge that others ask for, but not the stricter policy', (t) => {
  const present = table(ENTRY, leave('br0'), STAY, enter('br0'), ...RETURNS);
  t.deepEqual(releaseLines(present, { ended: [SAME], kept: [SAME] }), []);
  t.deepEqual(releaseLines(present, { ended: [ISOLATED], kept: [SAME] }), [deleted(STAY)]);
});

test('releaseLines() leaves the chains to other bridges', (t) => {
  const present = table(ENTRY, leave('br1'), leave('br0'), enter('br1'), enter('br0'), ...RETURNS);
  const own = [leave('br0'), enter('br0')].map(deleted);
  t.deepEqual(releaseLines(present, { ended: [SAME], kept: [BR1] }), own);
  t.deepEqual(releaseLines(present, { ended: [SAME], kept: [] }), own, 'a bridge of nobody known');
});

test('releaseLines() takes the chains with the last bridge, unless others lead to them', (t) => {
  const own = [ENTRY, leave('br0', 'isolated'), STAY, enter('br0'), ...RETURNS];
  t.deepEqual(releaseLines(table(...own), { ended: [ISOLATED], kept: [] }), END);
  const used = table(...own, '-A OTHER -j CNI-ISOLATION-STAGE-2');
  t.deepEqual(
    releaseLines(used, { ended: [ISOLATED], kept: [] }),
    [leave('br0', 'isolated'), STAY, enter('br0')].map(deleted),
  );
});

test('releaseLines() does nothing where nothing was asked for', (t) => {
  t.deepEqual(releaseLines(table(ENTRY, ...RETURNS), { ended: [], kept: [] }), []);
});
