/**
 * IP addresses as values. The one place that knows the ip-address library. Only texts in unusual
 * spellings need the library: to load it takes a tenth of a call.
 */
import { Address6 } from 'ip-address';

/** IP version of an address. */
export type Family = 4 | 6;

/** Both IP versions, in the order in which they are worked through. */
export const FAMILIES: readonly Family[] = [4, 6];

/** Width of an address in bits. */
export const ADDRESS_BITS = { 4: 32, 6: 128 } as const;

/** ::ffff:0:0/96, the IPv4-mapped block (RFC 4291 §2.5.5.2). */
const MAPPED = 0xffffn << 32n;

/** Four numbers from 0 to 255. With a leading zero programs disagree on what is meant. */
const DOTTED = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Text that is no address, prefix or range. */
export class AddressError extends Error {
  override name = 'AddressError';
}

const dottedValue = (text: string): bigint =>
  BigInt(text.split('.').reduce((value, octet) => value * 256 + Number(octet), 0));

const GROUPS = 8;

/**
 * Up to eight groups of one to four hexadecimal digits, "::" at most once: how all programs write
 * IPv6. @returns undefined for any other text
 */
function colonValue(text: string): bigint | undefined {
  const halves = text.split('::');
  const [head = [], tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const zeros = GROUPS - head.length - (tail?.length ?? 0);
  if (halves.length > 2 || (tail === undefined ? zeros !== 0 : zeros < 1)) return undefined;
  const groups = [...head, ...Array<string>(zeros).fill('0'), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`);
}

/**
 * RFC 5952 §4: no leading zeros, lower case, and "::" for the longest run of zeros, the first of
 * equally long ones.
 */
function colonText(value: bigint): string {
  const groups = value.toString(16).padStart(32, '0').match(/.{4}/g) ?? [];
  const text = groups.map((group) => group.replace(/^0{1,3}/, '')).join(':');
  let [longest, at] = ['', 0];
  for (const { 0: run, index } of text.matchAll(/\b0(?::0)+\b/g)) {
    if (run.length > longest.length) [longest, at] = [run, index];
  }
  if (longest === '') return text;
  const [before, after] = [text.slice(0, at), text.slice(at + longest.length)];
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`;
}

/** An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses become IPv4 ones, as in Go's net package. */
export class Address {
  readonly family: Family;
  /** The address as an unsigned number of ADDRESS_BITS[family] bits. */
  readonly value: bigint;

  private constructor(family: Family, value: bigint) {
    this.family = family;
    this.value = value;
  }

  /**
   * The address of this family with this number. @throws AddressError when the number is out of
   * range.
   */
  static of(family: Family, value: bigint): Address {
    if (value < 0n || value >> BigInt(ADDRESS_BITS[family]) !== 0n) {
      throw new AddressError(`No IPv${family} address has the number ${value}`);
    }
    if (family === 6 && value >> 32n === 0xffffn) return new Address(4, value - MAPPED);
    return new Address(family, value);
  }

  /**
   * Reads dotted IPv4 or colon IPv6 text, without prefix length, zone, port or brackets; octets
   * with leading zeros are refused, since programs disagree on what they mean.
   * @throws AddressError
   */
  static parse(text: string): Address {
    if (DOTTED.test(text)) return new Address(4, dottedValue(text));
    const plain = colonValue(text);
    if (plain !== undefined) return Address.of(6, plain);
    if (/^[0-9a-fA-F:.]+$/.test(text) && text.includes(':') && Address6.isValid(text)) {
      return Address.of(6, new Address6(text).bigInt());
    }
    throw new AddressError(`"${text}" is not an IP address`);
  }

  /** Reads 4 or 16 bytes in network order. @throws AddressError for any other length. */
  static fromBytes(bytes: Uint8Array): Address {
    const family = bytes.length === 4 ? 4 : bytes.length === 16 ? 6 : undefined;
    if (family === undefined) throw new AddressError(`No IP address is ${bytes.length} bytes long`);
    return Address.of(family, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
  }

  /** 4 or 16 bytes in network order. */
  toBytes(): Uint8Array {
    const hex = this.value.toString(16).padStart(ADDRESS_BITS[this.family] / 4, '0');
    return Buffer.from(hex, 'hex');
  }

  /** Canonical text (RFC 5952 for IPv6): it is also the file name of a reservation. */
  toString(): string {
    return this.family === 4 ? this.toBytes().join('.') : colonText(this.value);
  }

  /** The address `count` further on (or back). @throws AddressError beyond the family's ends. */
  plus(count: bigint): Address {
    return Address.of(this.family, this.value + count);
  }

  equals(other: Address): boolean {
    return this.family === other.family && this.value === other.value;
  }

  /** Negative, zero or positive, as Array.sort wants it: IPv4 before IPv6, then by number. */
  compare(other: Address): number {
    if (this.family !== other.family) return this.family - other.family;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }

  /** fe80::/10 (RFC 4291 §2.5.6) or 169.254.0.0/16 (RFC 3927). */
  get isLinkLocal(): boolean {
    return this.family === 6 ? this.value >> 118n === 0x3fan : this.value >> 16n === 0xa9fen;
  }
}
