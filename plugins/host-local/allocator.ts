/** Choosing addresses: one of each range set, round robin, or the ones that were asked for. */
import type { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, prefixed } from '#lib/cni/error.ts';
import type { ResultIp } from '#lib/cni/result.ts';
import type { AllocationRange, RangeSet } from './range-set.ts';
import type { Holder } from './reservation.ts';
import type { Store } from './store.ts';

/** So many addresses in a row are tried by reserving them; then one look at the folder tells which are taken. */
const BLIND_TRIES = 16;

/** Reserves an address of every set for a holder, or none. @throws CniError */
export function allocate(
  store: Store,
  sets: readonly RangeSet[],
  holder: Holder,
  requested: readonly Address[],
): ResultIp[] {
  using undo = new DisposableStack();
  const held = store.addressesOf(holder);
  const rest = [...requested];
  const ips = sets.map((set, index) => {
    try {
      const wanted = takeFrom(rest, set);
      if (wanted === undefined) refuseSecond(held, set, holder);
      const { address, range } =
        wanted === undefined ? next(store, set, index, holder) : fixed(store, set, wanted, holder);
      undo.defer(() => store.free(holder, [address]));
      store.setLastReserved(index, address);
      return { address: new Prefix(address, range.subnet.bits), gateway: range.gateway };
    } catch (error) {
      throw prefixed(`failed to allocate for range ${index}`, error);
    }
  });
  if (rest.length > 0) {
    throw new CniError(CODE.INTERNAL, `failed to allocate all requested IPs: ${rest.join(' ')}`);
  }
  undo.move();
  return ips;
}

/** Takes the first requested address that lies in the set. */
function takeFrom(requested: Address[], set: RangeSet): Address | undefined {
  const index = requested.findIndex((address) => set.rangeOf(address) !== undefined);
  return index < 0 ? undefined : requested.splice(index, 1)[0];
}

/** A runtime adds an attachment once. Its retry after a crash of its own must delete first. */
function refuseSecond(held: readonly Address[], set: RangeSet, { containerID }: Holder): void {
  const already = held.find((address) => set.rangeOf(address) !== undefined);
  if (already !== undefined) {
    throw new CniError(
      CODE.INTERNAL,
      `${already} has been allocated to ${containerID}, duplicate allocation is not allowed`,
      'a DEL of this container gives it back',
    );
  }
}

interface Choice {
  readonly address: Address;
  readonly range: AllocationRange;
}

function fixed(store: Store, set: RangeSet, address: Address, holder: Holder): Choice {
  const range = set.rangeOf(address);
  if (range === undefined) throw new CniError(CODE.INTERNAL, `${address} not in range set ${set}`);
  if (address.equals(range.gateway)) {
    throw new CniError(CODE.INTERNAL, `requested ip ${address} is subnet's gateway`);
  }
  const isReserved = () => store.reserve(address, holder);
  if (isReserved() || (store.reclaimTorn(address) && isReserved())) return { address, range };
  throw new CniError(
    CODE.INTERNAL,
    `requested IP address ${address} is not available in range set ${set}`,
  );
}

function next(store: Store, set: RangeSet, index: number, holder: Holder): Choice {
  return (
    firstFree(store, set, index, holder) ??
    (reclaim(store, set) ? firstFree(store, set, index, holder) : undefined) ??
    exhausted(store, set)
  );
}

function firstFree(store: Store, set: RangeSet, index: number, holder: Holder): Choice | undefined {
  let taken: ReadonlySet<string> = new Set();
  let tries = 0;
  for (const choice of set.candidates(store.lastReserved(index))) {
    if (taken.has(choice.address.toString())) continue;
    if (store.reserve(choice.address, holder)) return choice;
    tries += 1;
    if (tries === BLIND_TRIES) taken = new Set(store.reserved().map(String));
  }
  return undefined;
}

/** Frees the set's addresses whose files are empty or torn. @returns whether there were any */
function reclaim(store: Store, set: RangeSet): boolean {
  const own = store.reserved().filter((address) => set.rangeOf(address) !== undefined);
  return own.filter((address) => store.reclaimTorn(address)).length > 0;
}

function exhausted(store: Store, set: RangeSet): never {
  throw new CniError(
    CODE.INTERNAL,
    `no IP addresses available in range set: ${set}`,
    `all ${set.capacity} addresses are reserved in "${store.folder}"`,
  );
}

/** How many addresses of a set can still be given out. */
export function freeAddresses(reserved: readonly Address[], set: RangeSet): bigint {
  const held = reserved.filter((address) => {
    const range = set.rangeOf(address);
    return range !== undefined && !address.equals(range.gateway);
  });
  return set.capacity - BigInt(held.length);
}
