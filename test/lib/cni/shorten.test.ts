import test from 'ava';
import { parseArgs } from '#lib/cni/args.ts';
import { CniError, prefixed } from '#lib/cni/error.ts';
import { address, object, parseWith } from '#lib/cni/schema.ts';
import { shorten, shortenIn } from '#lib/cni/shorten.ts';
import { parseCniArgs } from '#cmd/cnitool/attachment.ts';

const LONG = 'x'.repeat(100_000);

test('shorten() leaves what is short, and of the rest keeps both ends', (t) => {
  t.is(shorten('x'.repeat(200)), 'x'.repeat(200));
  t.is(shorten('0123456789abcdef', 8), '012345… (8 more characters) …ef');
});

test('shortenIn() cuts the value wherever it stands, and nothing else', (t) => {
  t.is(shortenIn('"$&" is bad', '$&'), '"$&" is bad');
  t.regex(shortenIn(`"${LONG}" is bad, ${LONG}`, LONG), /^"x{150}… .* …x{50}" is bad, x{150}…/);
});

test('an error keeps its sentence, whatever value stands in it', (t) => {
  const error = t.throws(
    () =>
      parseWith(
        object(() => ({ a: address })),
        { a: LONG },
        'config',
      ),
    {
      instanceOf: CniError,
    },
  );
  t.regex(error.message, /^Invalid config: "a" "x+… \(99800 more characters\) …x+" is not an IP/);
  const keyed = t.throws(() =>
    parseWith(
      object(() => ({ [LONG]: address })),
      {},
      'config',
    ),
  );
  t.true(keyed.message.length < 400);
});

test('message and details of an error have a limit of their own, what wraps them too', (t) => {
  const error = prefixed('failed', new CniError(7, LONG, LONG));
  t.true(error.message.length < 2100);
  t.true(error.details.length < 4100);
  t.regex(error.message, /^failed: x+/);
});

test('an error about CNI_ARGS names the key that is wrong, no value, no other pair', (t) => {
  for (const read of [
    () => parseArgs('K=V;KEY=secret=x', []),
    () => parseCniArgs('K=V;KEY=secret=x'),
  ]) {
    const { message, details } = t.throws(read, { instanceOf: CniError });
    t.regex(message, /invalid (CNI_ARGS )?pair "KEY=…"/);
    t.notRegex(message + details, /secret|K=V;KEY/);
  }
});
