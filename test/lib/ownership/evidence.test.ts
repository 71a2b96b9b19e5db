import test from 'ava';
import { evidenceOf, isEvidence, lastingEvidenceOf, provesGone } from '#lib/ownership/evidence.ts';
import { bootId } from '#lib/sys/boot.ts';
import { viewOfThisProcess } from './view.ts';

const OWN = `/proc/${process.pid}/ns/net`;
const view = viewOfThisProcess();
const gone = `netns 4:1 seen in ${view} /run/netns/none`;

test('what is no evidence proves nothing', (t) => {
  for (const text of [undefined, '', 'id: cid1', 'boot ; ', `boot ${bootId()}; `]) {
    t.false(provesGone(text), text);
  }
  t.false(isEvidence('id: cid1'));
  t.is(evidenceOf(undefined), '');
});

test('another boot proves it, whatever else is known', (t) => {
  t.true(provesGone('boot 00000000-0000-0000-0000-000000000000; '));
  t.is(lastingEvidenceOf(undefined), `boot ${bootId()}; `);
});

test('evidence of a namespace that is there proves nothing, of one that is not it does', (t) => {
  if (view === undefined) {
    t.log('skipped: this kernel names no mount namespace, so that nothing is evidence');
    t.pass();
    return;
  }
  t.false(provesGone(evidenceOf(OWN)));
  t.true(isEvidence(evidenceOf(OWN)));
  t.true(provesGone(gone));
  t.true(provesGone(`boot ${bootId()}; ${gone}`));
  t.false(provesGone(gone.replace(view, '1/254:2')));
});

test('evidence that does not fit its place is left out', (t) => {
  const length = Buffer.byteLength(evidenceOf(OWN));
  t.is(evidenceOf(OWN, length), evidenceOf(OWN));
  t.is(evidenceOf(OWN, length - 1), '');
});
