/**
 * CIDR prefixes as values: an address with a length. Host bits are kept; masked() is the network.
 */
import { ADDRESS_BITS, Address, AddressError, type Family } from './address.ts';

/** An address and the length of its network part, such as 10.244.1.1/24. */
export class Prefix {
  readonly address: Address;
  /** 0–32 or 0–128. */
  readonly bits: number;

  /** @throws AddressError when bits does not fit the family. */
  constructor(address: Address, bits: number) {
    if (!Number.isInteger(bits) || bits < 0 || bits > ADDRESS_BITS[address.family]) {
      throw new AddressError(`"${address}/${bits}" is not a CIDR prefix`);
    }
    this.address = address;
    this.bits = bits;
  }

  /** Reads "address/length" in CIDR notation. @throws AddressError */
  static parse(text: string): Prefix {
    const [, address = '', bits = ''] = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
    if (address === '') throw new AddressError(`"${text}" is not a CIDR prefix`);
    const parsed = Address.parse(address);
    const mapped = parsed.family === 4 && address.includes(':');
    return new Prefix(parsed, Number(bits) - (mapped ? 96 : 0));
  }

  /** The address alone: /32 or /128. */
  static host(address: Address): Prefix {
    return new Prefix(address, ADDRESS_BITS[address.family]);
  }

  get family(): Family {
    return this.address.family;
  }

  /** How many bits the host part has. */
  get hostBits(): number {
    return ADDRESS_BITS[this.family] - this.bits;
  }

  /** The network: the same prefix with all host bits zero. */
  masked(): Prefix {
    const shift = BigInt(this.hostBits);
    return new Prefix(Address.of(this.family, (this.address.value >> shift) << shift), this.bits);
  }

  /** The lowest address, where the host bits are zero. */
  get first(): Address {
    return this.masked().address;
  }

  /** The highest address, where the host bits are one: IPv4's broadcast address. */
  get last(): Address {
    return Address.of(this.family, this.first.value | ((1n << BigInt(this.hostBits)) - 1n));
  }

  contains(address: Address): boolean {
    const shift = BigInt(this.hostBits);
    return address.family === this.family && address.value >> shift === this.address.value >> shift;
  }

  overlaps(other: Prefix): boolean {
    return this.contains(other.first) || other.contains(this.first);
  }

  equals(other: Prefix): boolean {
    return this.bits === other.bits && this.address.equals(other.address);
  }

  /** Canonical text with host bits, such as 10.244.1.1/24. */
  toString(): string {
    return `${this.address}/${this.bits}`;
  }
}
