/**
 * Netlink attributes (struct nlattr, linux/netlink.h): length, type, value, padding to four bytes.
 * Pure: values to bytes and back. Numbers are little-endian as on every machine Node runs on,
 * unless a name says `be`.
 */
import { Address, AddressError } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';

/** Reads 4 or 16 bytes as an address. @throws MalformedMessage */
export const addressFrom = (bytes: Uint8Array): Address =>
  wellFormed(() => Address.fromBytes(bytes));

/** A prefix of an address and a length in a message. @throws MalformedMessage */
export const prefixFrom = (address: Address, bits: number): Prefix =>
  wellFormed(() => new Prefix(address, bits));

function wellFormed<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof AddressError) throw new MalformedMessage(error.message, { cause: error });
    throw error;
  }
}

/** An attribute to be sent. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** linux/netlink.h */
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER_BYTES = 4;

const align = (length: number): number => (length + 3) & ~3;

/** Bytes that do not keep the format that was agreed on: never from a sound kernel. */
export class MalformedMessage extends Error {
  override name = 'MalformedMessage';
}

function numeric(type: number, bytes: number, write: (buffer: Buffer) => void): Attribute {
  const value = Buffer.alloc(bytes);
  write(value);
  return { type, value };
}

/** Builders of attributes, by the shape of their value. */
export const attr = {
  u8: (type: number, n: number) => numeric(type, 1, (b) => b.writeUInt8(n)),
  u16: (type: number, n: number) => numeric(type, 2, (b) => b.writeUInt16LE(n)),
  u32: (type: number, n: number) => numeric(type, 4, (b) => b.writeUInt32LE(n >>> 0)),
  u64: (type: number, n: bigint) => numeric(type, 8, (b) => b.writeBigUInt64LE(n)),
  be16: (type: number, n: number) => numeric(type, 2, (b) => b.writeUInt16BE(n)),
  be32: (type: number, n: number) => numeric(type, 4, (b) => b.writeUInt32BE(n >>> 0)),
  be64: (type: number, n: bigint) => numeric(type, 8, (b) => b.writeBigUInt64BE(n)),
  /** Text, ended by a zero byte. */
  text: (type: number, text: string): Attribute => ({ type, value: Buffer.from(`${text}\0`) }),
  bytes: (type: number, value: Uint8Array): Attribute => ({ type, value }),
  /** Attributes within an attribute. */
  nested: (type: number, children: readonly Attribute[]): Attribute => ({
    type: type | NLA_F_NESTED,
    value: encodeAttributes(children),
  }),
};

/** The attribute of a value; none for undefined. */
export const optional = <T>(value: T | undefined, encode: (value: T) => Attribute): Attribute[] =>
  value === undefined ? [] : [encode(value)];

/** The bytes of a list of attributes, each padded to four. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const sizes = attributes.map(({ value }) => align(HEADER_BYTES + value.length));
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0));
  let offset = 0;
  for (const [index, { type, value }] of attributes.entries()) {
    bytes.writeUInt16LE(HEADER_BYTES + value.length, offset);
    bytes.writeUInt16LE(type, offset + 2);
    bytes.set(value, offset + HEADER_BYTES);
    offset += sizes[index] ?? 0;
  }
  return bytes;
}

/**
 * Attributes as received: unknown ones are kept, repeated ones too. Readers answer undefined for an
 * absent one.
 */
export class Attributes {
  readonly list: readonly Attribute[];

  constructor(list: readonly Attribute[]) {
    this.list = list;
  }

  /** @throws MalformedMessage when a length goes beyond the bytes */
  static decode(bytes: Uint8Array): Attributes {
    const view = viewOf(bytes);
    const list: Attribute[] = [];
    for (let offset = 0; offset + HEADER_BYTES <= bytes.length;) {
      const length = view.getUint16(offset, true);
      if (length < HEADER_BYTES || offset + length > bytes.length) {
        throw new MalformedMessage(`Attribute of ${length} bytes in ${bytes.length - offset}`);
      }
      const type = view.getUint16(offset + 2, true) & NLA_TYPE_MASK;
      list.push({ type, value: bytes.subarray(offset + HEADER_BYTES, offset + length) });
      offset += align(length);
    }
    return new Attributes(list);
  }

  /** The value of an attribute, the last one if it is repeated. */
  bytes(type: number): Uint8Array | undefined {
    return this.list.findLast((attribute) => attribute.type === type)?.value;
  }

  u8(type: number): number | undefined {
    return this.#number(type, 1, (view) => view.getUint8(0));
  }

  u16(type: number): number | undefined {
    return this.#number(type, 2, (view) => view.getUint16(0, true));
  }

  u32(type: number): number | undefined {
    return this.#number(type, 4, (view) => view.getUint32(0, true));
  }

  i32(type: number): number | undefined {
    return this.#number(type, 4, (view) => view.getInt32(0, true));
  }

  u64(type: number): bigint | undefined {
    return this.#number(type, 8, (view) => view.getBigUint64(0, true));
  }

  be16(type: number): number | undefined {
    return this.#number(type, 2, (view) => view.getUint16(0));
  }

  be32(type: number): number | undefined {
    return this.#number(type, 4, (view) => view.getUint32(0));
  }

  be64(type: number): bigint | undefined {
    return this.#number(type, 8, (view) => view.getBigUint64(0));
  }

  /** Text up to its zero byte. */
  text(type: number): string | undefined {
    const value = this.bytes(type);
    if (value === undefined) return undefined;
    const end = value.indexOf(0);
    return Buffer.from(end < 0 ? value : value.subarray(0, end)).toString('utf8');
  }

  /** The attributes within an attribute; none if it is absent. @throws MalformedMessage */
  nested(type: number): Attributes {
    return Attributes.decode(this.bytes(type) ?? new Uint8Array());
  }

  #number<T>(type: number, size: number, read: (view: DataView) => T): T | undefined {
    const value = this.bytes(type);
    if (value === undefined) return undefined;
    if (value.length < size) {
      throw new MalformedMessage(`Attribute ${type} has ${value.length} bytes, not ${size}`);
    }
    return read(viewOf(value));
  }
}

/** A DataView over just these bytes, `least` of which there must be. @throws MalformedMessage */
export function viewOf(bytes: Uint8Array, least = 0): DataView {
  if (bytes.length < least) {
    throw new MalformedMessage(`${bytes.length} bytes where there must be ${least}`);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
