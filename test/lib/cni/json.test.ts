import test from 'ava';
import { parseConfig } from '#lib/cni/config.ts';
import { CniError } from '#lib/cni/error.ts';
import { parseJsonIfAny, parseJsonText } from '#lib/cni/json.ts';

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

test('parseJsonText() reads what is as deep as its limit, and no deeper', (t) => {
  t.notThrows(() => parseJsonText(nested(200)));
  t.throws(() => parseJsonText(nested(201)), {
    instanceOf: SyntaxError,
    message: 'it is nested more than 200 levels deep',
  });
  t.throws(() => parseJsonText('{"a":'.repeat(201)), { message: /nested/ });
});

test('parseJsonText() counts no brackets in strings, and those of lists beside each other once', (t) => {
  t.is(parseJsonText(`"${'['.repeat(300)}"`), '['.repeat(300));
  t.is(parseJsonText(String.raw`"\"${'{'.repeat(300)}\\"`), `"${'{'.repeat(300)}\\`);
  t.is((parseJsonText(`[${Array(300).fill('[[]]').join()}]`) as unknown[]).length, 300);
});

test('parseJsonText() leaves out the key that would change what an object is', (t) => {
  t.deepEqual(parseJsonText('{"a":{"__proto__":{"b":1}}}'), { a: {} });
});

test('parseJsonIfAny() takes what is no JSON for nothing', (t) => {
  for (const text of ['', '{', nested(10_000), '\0']) t.is(parseJsonIfAny(text), undefined);
});

test('a configuration nested without end is a text that cannot be decoded', (t) => {
  const config = `{"cniVersion":"1.0.0","name":"x","deep":${nested(100_000)}}`;
  const error = t.throws(() => parseConfig(Buffer.from(config)), { instanceOf: CniError });
  t.is(error.code, 6);
  t.regex(error.message, /^error unmarshall network config: it is nested more than 200 levels/);
});
