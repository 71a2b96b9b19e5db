/** What a hostile or a broken caller writes: values, texts, and changes to documents that were right. */
import * as fc from 'fast-check';

const NUMBERS = [-1, 0, -0, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308, 5e-324, 4095, 65_536];

const TEXTS = [
  '',
  ' ',
  '.',
  '..',
  '../x',
  '../../x',
  '/',
  '//',
  '/run/fuzz/../x',
  'a/b',
  'a:b',
  '-',
  '--help',
  '%s',
  '%d',
  '*',
  '+',
  '\0',
  'a\0b',
  'a\nb',
  'a\tb',
  '\r\n',
  '\u001b[2J',
  '\u202e',
  '\ud800',
  'ü',
  '🙂',
  '$(x)',
  '`x`',
  "'",
  '"',
  '\\',
  ';#',
  'NaN',
  'Infinity',
  '1e9',
  '0x10',
  'true',
  'null',
  'constructor',
  'toString',
  '__proto__',
  'hasOwnProperty',
  'lo',
  'eth0',
  'br0',
  'all',
  'default',
  'IFNAME',
  'abcdefghijklmno',
  'abcdefghijklmnop',
  'x'.repeat(300),
  'x'.repeat(70_000),
  '0.0.0.0/0',
  '::/0',
  '10.1.0.0/33',
  '10.1.0.0/-1',
  '10.01.0.1',
  '255.255.255.255/32',
  '127.0.0.1/8',
  '224.0.0.1/4',
  'fe80::1/64',
  '::ffff:10.1.0.1/120',
  '10.1.0.0/31',
  '10.1.0.0/30',
  'fd00::/127',
  '1.2.3.4',
  '::1',
  '10.1.0.1%eth0',
  '00:00:00:00:00:00',
  'ff:ff:ff:ff:ff:ff',
  '01:00:5e:00:00:01',
  '02:00:00:00:00:01',
  'host-local',
  'static',
  'bridge',
  'flannel',
  'cnitool',
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
  '1.2.0',
  'v1.0.0',
  '1.0',
  '01.0.0',
  'tcp',
  'UDP',
  'nftables',
  'iptables',
  'firewalld',
  'isolated',
  'same-bridge',
  'open',
  'drop',
  'meta',
  'accept',
];

/** Lists and objects of a shape that nobody expects: deep, long, with keys that JavaScript takes for its own. */
const nested = (levels: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

const SHAPES: readonly unknown[] = [
  null,
  true,
  false,
  [],
  {},
  [[]],
  [null],
  [{}],
  nested(150),
  nested(1_000),
  Array.from({ length: 3_000 }, (_, index) => index),
  JSON.parse('{"__proto__":{"type":"x"},"constructor":{"prototype":1}}'),
];

/** Any text: those that mean something to somebody, and those that mean nothing. */
export const hostileText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
);

/** Any JSON value. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  { weight: 3, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 3, arbitrary: fc.constantFrom(...SHAPES) },
  { weight: 1, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.jsonValue() },
);

/** One change to a document: what becomes of the value at a place. */
const change = fc.oneof(
  fc.record({ what: fc.constant('replace' as const), value: hostileJson }),
  fc.record({ what: fc.constant('remove' as const) }),
  fc.record({ what: fc.constant('repeat' as const), times: fc.constantFrom(2, 50) }),
  fc.record({ what: fc.constant('stringify' as const) }),
  fc.record({ what: fc.constant('otherCase' as const), value: hostileJson }),
  fc.record({ what: fc.constant('insert' as const), key: hostileText, value: hostileJson }),
);
type Change = (typeof change extends fc.Arbitrary<infer T> ? T : never) & { readonly at: number };
type Node = Record<string, unknown> | unknown[];

/** Every place in a document: the list or object that it is in, and its key there. */
function placesIn(value: unknown): [Node, string][] {
  if (typeof value !== 'object' || value === null) return [];
  const node = value as Node;
  return Object.entries(node).flatMap(([key, inner]) => [
    [node, key] as [Node, string],
    ...placesIn(inner),
  ]);
}

const swapCase = (text: string): string =>
  text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();

/** Assigns a key as JSON.parse does, whatever its name is. */
const define = (node: object, key: string, value: unknown): void =>
  void Object.defineProperty(node, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });

function applyChange(document: unknown, { at, ...edit }: Change): void {
  const places = placesIn(document);
  const [node, key] = places[at % Math.max(places.length, 1)] ?? [];
  if (node === undefined || key === undefined) return;
  const value: unknown = Reflect.get(node, key);
  if (edit.what === 'remove') Reflect.deleteProperty(node, key);
  else if (edit.what === 'replace') define(node, key, structuredClone(edit.value));
  else if (edit.what === 'stringify') define(node, key, JSON.stringify(value));
  else if (edit.what === 'repeat')
    define(
      node,
      key,
      Array.from({ length: edit.times }, () => value),
    );
  else if (edit.what === 'otherCase') define(node, swapCase(key), structuredClone(edit.value));
  else define(node, edit.key, structuredClone(edit.value));
}

/** A document with a few changes. */
const changed = (document: unknown): fc.Arbitrary<unknown> => {
  const place = fc.nat({ max: 10_000 });
  const edits = fc.array(fc.tuple(place, change), { minLength: 0, maxLength: 3 });
  return edits.map((list) => {
    const copy = structuredClone(document);
    for (const [at, edit] of list) applyChange(copy, { ...edit, at });
    return copy;
  });
};

/** One change to bytes. */
const damage = fc.oneof(
  { weight: 20, arbitrary: fc.constant({ what: 'none' as const, bytes: new Uint8Array() }) },
  { weight: 2, arbitrary: fc.constant({ what: 'cut' as const, bytes: new Uint8Array() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constantFrom('overwrite' as const, 'insert' as const),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('all' as const),
      bytes: fc.uint8Array({ maxLength: 64 }),
    }),
  },
);

/** Bytes cut short, overwritten in places, with others between them, or none of them left. */
export const damaged = (source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(source, damage, fc.nat({ max: 100_000 })).map(([text, { what, bytes }, where]) => {
    const at = where % (text.length + 1);
    if (what === 'none') return text;
    if (what === 'all') return bytes;
    const rest = what === 'cut' ? [] : text.subarray(what === 'overwrite' ? at + bytes.length : at);
    return Buffer.concat([text.subarray(0, at), bytes, Uint8Array.from(rest)]);
  });

/** A document as a caller might send it: changed, then as text, then perhaps damaged. */
export const hostileDocument = (document: unknown): fc.Arbitrary<Uint8Array> =>
  damaged(changed(document).map((value) => Buffer.from(JSON.stringify(value) ?? '')));
