/**
 * Building blocks for configuration schemas (zod), and the readable form of what is wrong with a
 * configuration.
 */
import * as z from 'zod/mini';
import { Address, AddressError } from '#lib/addr/address.ts';
import { isUnicast, type Mac, parseMac } from '#lib/addr/mac.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE } from './error.ts';
import { shorten, shortenIn } from './shorten.ts';

z.config({ customError: (issue) => describe(issue) });

/** The words for one fault, without the place. */
function describe(issue: z.core.$ZodRawIssue): string {
  const found = quote(issue.input);
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? 'is missing'
        : `must be ${article(issue.expected)}, not ${found}`;
    case 'invalid_value':
      return issue.input === undefined
        ? `is missing: it must be ${issue.values.map(quote).join(' or ')}`
        : `must be ${issue.values.map(quote).join(' or ')}, not ${found}`;
    case 'too_big':
      return issue.origin === 'array'
        ? `must have at most ${issue.maximum} entries`
        : `must be at most ${issue.maximum}, not ${found}`;
    case 'too_small':
      return `must be at least ${issue.minimum}, not ${found}`;
    default:
      return issue.message ?? `must not be ${found}`;
  }
}

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

/** A value as JSON, cut to what fits a line. */
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/**
 * An object whose known keys match in any letter case, as Go's decoder reads them; null leaves the
 * default, unknown keys pass, of duplicates the last wins. Its keys' schemas are made when one is
 * read first: most calls need few of all.
 */
export function object<S extends z.core.$ZodLooseShape>(makeShape: () => S) {
  const schema = z.lazy(() => {
    const shape = makeShape();
    const known = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]));
    return z.pipe(
      z.transform((input) => renameKeys(input, known)),
      z.looseObject(shape),
    );
  });
  // The transform's answer. z.optional asks even for a key that is absent, and would make all
  // of it for the answer.
  Object.defineProperty(schema._zod, 'optin', { value: 'optional' });
  return schema;
}

function renameKeys(input: unknown, known: ReadonlyMap<string, string>): unknown {
  if (!isRecord(input)) return input;
  const renamed = new Map<string, unknown>();
  for (const [key, value] of Object.entries(input)) {
    const name = known.get(key.toLowerCase());
    if (name === undefined) renamed.set(key, value);
    else if (value !== null) renamed.set(name, value);
  }
  return Object.fromEntries(renamed);
}

/** Whether a parsed JSON value is an object. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Text that a function reads; what it throws becomes the fault's words. */
export function textAs<T>(parse: (text: string) => T) {
  return z.pipe(
    z.string(),
    z.transform((text, context): T => {
      try {
        return parse(text);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        context.issues.push({ code: 'custom', message: shortenIn(message, text), input: text });
        return z.NEVER;
      }
    }),
  );
}

/** An IP address. */
export const address = textAs((text) => Address.parse(text));

/** An optional IP address, where empty text means none, as Go's types print it. */
export const addressIfAny = z.optional(
  textAs((text) => (text === '' ? undefined : Address.parse(text))),
);

/** An address with prefix length; host bits are kept. */
export const prefix = textAs((text) => Prefix.parse(text));

/** An optional hardware address, where empty text means none. */
export const macIfAny = z.optional(textAs((text) => (text === '' ? undefined : parseMac(text))));

/** An optional hardware address for an interface, where empty text means none. */
export const interfaceMacIfAny = z.optional(
  textAs((text) => (text === '' ? undefined : parseInterfaceMac(text))),
);

/** A hardware address that an interface can have. @throws AddressError */
export function parseInterfaceMac(text: string): Mac {
  const mac = parseMac(text);
  if (isUnicast(mac)) return mac;
  throw new AddressError(
    `"${text}" is the address of a group or zero, which no interface can have`,
  );
}

/** A whole number from `least` to `most`. */
export const integer = (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  z.int().check(z.gte(least), z.lte(most));

/**
 * An optional key with true or false; absent means false. Schemas are slow to make: what occurs
 * often is made once.
 */
export const flag = z._default(z.boolean(), false);

/** An optional key with any text. */
export const textIfAny = z.optional(z.string());

/** A text; absent means empty. */
export const textOrEmpty = z._default(z.string(), '');

/** An optional key with a list of texts; absent means an empty one. */
export const textList = z._default(z.array(z.string()), []);

/** An optional key with a default. */
export const optional = <T extends z.core.SomeType>(
  schema: T,
  value: z.core.util.NoUndefined<z.core.output<T>>,
) => z._default(schema, value);

/** A key of DEL and GC: a value that ADD would refuse counts as absent. */
export const tolerant = <T extends z.core.SomeType>(schema: T, value: z.core.output<T>) =>
  z.catch(schema, value);

/** A configuration of which nothing is read. */
export const NoKeys = object(() => ({}));

/** Checks a parsed JSON value. @throws CniError INVALID_CONFIG with every fault and its place */
export function parseWith<T>(schema: z.ZodMiniType<T>, value: unknown, what: string): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  const faults = listFaults(result.error);
  const [first = ''] = faults;
  const details = faults.length > 1 ? faults.join('; ') : '';
  throw new CniError(CODE.INVALID_CONFIG, `Invalid ${what}: ${first}`, details);
}

/** Every fault with its place, readable. */
export const listFaults = ({ issues }: z.core.$ZodError): string[] =>
  issues.map(({ path, message }) => `${place(path)}${message}`);

/** ipam.ranges[0][0].subnet and a blank; nothing for the whole document. */
function place(path: readonly PropertyKey[]): string {
  const text = path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${shorten(String(key))}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? '' : `"${text}" `;
}
