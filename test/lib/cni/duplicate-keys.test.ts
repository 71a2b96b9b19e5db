/** Keys that come twice in a JSON text, at any depth; what only looks like a key does not count. */
import test from 'ava';
import { duplicateKeys } from '#lib/cni/duplicate-keys.ts';

const finds = test.macro((t, json: string, expected: string[][]) => {
  t.notThrows(() => JSON.parse(json) as unknown);
  t.deepEqual(duplicateKeys(json), expected);
});

test('no key twice', finds, '{"a": {"b": 1, "c": [{"b": 2}, {"b": 3}]}, "b": "a"}', []);
test('a key twice, and three times', finds, '{"a":1,"b":2,"a":3,"a":4}', [['a'], ['a']]);
test('in an object within a list', finds, '{"l":[1,[],{"x":1,"x":{}}]}', [['l', '2', 'x']]);
test('deep down', finds, '{"args":{"cni":{"sysctl":{"k":"1","k":"2"}}}}', [
  ['args', 'cni', 'sysctl', 'k'],
]);
test('an escaped key is the same key', finds, String.raw`{"a":1,"\u0061":2}`, [['a']]);
test(
  'brackets, quotes and commas in strings are no structure',
  finds,
  String.raw`{"a":"{\"a\":1,\"a\":2}","b\\":"]}","c":["a","a"],"d\",":"\\"}`,
  [],
);
test('the letter case makes another key', finds, '{"a":1,"A":2}', []);
test('keys of an object that is closed are forgotten', finds, '{"a":{"k":1},"b":{"k":1}}', []);
test('a document that is no object', finds, '"a"', []);
