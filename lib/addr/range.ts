/** Address ranges as values: from a first to a last address of one family, both included. */
import { type Address, AddressError } from './address.ts';

/** A run of addresses. */
export class Range {
  readonly start: Address;
  readonly end: Address;

  /** @throws AddressError when the families differ or end comes before start. */
  constructor(start: Address, end: Address) {
    if (start.family !== end.family || start.value > end.value) {
      throw new AddressError(`"${start}-${end}" is not an address range`);
    }
    this.start = start;
    this.end = end;
  }

  /** How many addresses it holds. */
  get size(): bigint {
    return this.end.value - this.start.value + 1n;
  }

  contains(address: Address): boolean {
    return (
      address.family === this.start.family &&
      address.value >= this.start.value &&
      address.value <= this.end.value
    );
  }

  overlaps(other: Range): boolean {
    return this.contains(other.start) || other.contains(this.start);
  }

  /** "first-last", as host-local prints it. */
  toString(): string {
    return `${this.start}-${this.end}`;
  }
}
