/**
 * Range sets: pools of addresses of one family, out of each of which a container gets one address.
 */
import { type Address, AddressError } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { Range } from '#lib/addr/range.ts';

/** One range of a set as the configuration has it. */
export interface RangeConfig {
  readonly subnet: Prefix;
  readonly rangeStart?: Address | undefined;
  readonly rangeEnd?: Address | undefined;
  readonly gateway?: Address | undefined;
}

/**
 * Addresses of a subnet that can be given away, but for the gateway's, which may lie among them.
 */
export interface AllocationRange {
  readonly subnet: Prefix;
  readonly gateway: Address;
  readonly addresses: Range;
}

/** Subnets with fewer host bits hold no address beside network, gateway and broadcast. */
const LEAST_HOST_BITS = 2;

/**
 * Fills in what the configuration leaves out. @throws AddressError in the reference plugin's words
 */
export function allocationRange({
  subnet,
  rangeStart,
  rangeEnd,
  gateway,
}: RangeConfig): AllocationRange {
  if (subnet.hostBits < LEAST_HOST_BITS) {
    throw new AddressError(`Network ${subnet} too small to allocate from`);
  }
  if (!subnet.address.equals(subnet.first)) {
    throw new AddressError(
      `Network has host bits set. For a subnet mask of length ${subnet.bits} the network address is ${subnet.first}`,
    );
  }
  const first = subnet.first.plus(1n);
  const start = within('RangeStart', rangeStart, subnet) ?? first;
  const end = within('RangeEnd', rangeEnd, subnet) ?? lastHost(subnet);
  if (end.value < start.value) {
    throw new AddressError(
      `RangeEnd ${end} not in network ${subnet}: it comes before RangeStart ${start}`,
    );
  }
  return { subnet, gateway: gateway ?? first, addresses: new Range(start, end) };
}

function within(key: string, address: Address | undefined, subnet: Prefix): Address | undefined {
  if (address !== undefined && !subnet.contains(address)) {
    throw new AddressError(`${key} ${address} not in network ${subnet}`);
  }
  return address;
}

/** IPv4's last address is for broadcasts, IPv6 has none. */
const lastHost = ({ last }: Prefix): Address => (last.family === 4 ? last.plus(-1n) : last);

/** A pool: its ranges in the order in which they are used up. */
export class RangeSet {
  readonly ranges: readonly AllocationRange[];

  /** @throws AddressError in the reference plugin's words */
  constructor(configs: readonly RangeConfig[]) {
    this.ranges = configs.map(allocationRange);
    if (this.ranges.length === 0) throw new AddressError('empty range set');
    if (new Set(this.ranges.map(({ subnet }) => subnet.family)).size > 1) {
      throw new AddressError('mixed address families');
    }
    for (const [index, { addresses }] of this.ranges.entries()) {
      const other = this.ranges
        .slice(index + 1)
        .find((range) => range.addresses.overlaps(addresses));
      if (other !== undefined)
        throw new AddressError(`subnets ${addresses} and ${other.addresses} overlap`);
    }
  }

  get family(): 4 | 6 {
    return this.ranges[0]?.subnet.family ?? 4;
  }

  /** The range that an address lies in. */
  rangeOf(address: Address): AllocationRange | undefined {
    return this.ranges.find(({ addresses }) => addresses.contains(address));
  }

  overlaps(other: RangeSet): boolean {
    return this.ranges.some((mine) =>
      other.ranges.some((its) => its.addresses.overlaps(mine.addresses)),
    );
  }

  /** How many addresses it has to give away. */
  get capacity(): bigint {
    return this.ranges.reduce(
      (sum, { addresses, gateway }) =>
        sum + addresses.size - (addresses.contains(gateway) ? 1n : 0n),
      0n,
    );
  }

  /**
   * Every address once, in the order in which they are tried: from the one after `last`, through
   * the ranges in turn and round to the beginning, without the gateways. Without a `last` of this
   * set from the first range's start.
   */
  *candidates(last: Address | undefined): Generator<{ address: Address; range: AllocationRange }> {
    const count = this.ranges.length;
    const found =
      last === undefined ? -1 : this.ranges.findIndex(({ addresses }) => addresses.contains(last));
    const begin = Math.max(found, 0);
    const after = found >= 0 ? last : undefined;
    for (let turn = 0; turn <= count; turn += 1) {
      const range = this.ranges[(begin + turn) % count];
      if (range === undefined) return;
      const { start, end } = range.addresses;
      const isFirst = turn === 0 && after !== undefined;
      // The last turn is the rest of the range that the first one began in.
      if (turn === count && after === undefined) return;
      const from = isFirst ? after.value + 1n : start.value;
      const to = turn === count && after !== undefined ? after.value : end.value;
      for (let value = from; value <= to; value += 1n) {
        if (value !== range.gateway.value || range.gateway.family !== start.family) {
          yield { address: start.plus(value - start.value), range };
        }
      }
    }
  }

  /** Its ranges, joined by commas. */
  toString(): string {
    return this.ranges.map(({ addresses }) => addresses.toString()).join(',');
  }
}
