/** Choosing addresses: one of each range set, round robin, or the ones that were asked for. */
import type { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, prefixed } from '#lib/cni/error.ts';
import { type Findings, unavailable } from '#lib/cni/finding.ts';
import type { ResultIp } from '#lib/cni/result.ts';
import type { AllocationRange, RangeSet } from './range-set.ts';
import type { Evidence } from './evidence.ts';
import type { AddressOwner } from './reservation.ts';
import type { ReservationState, Store } from './store.ts';

/** So many addresses in a row are tried by reserving them; then one look at the folder tells which are taken. */
const BLIND_TRIES = 16;

/** What an ADD asks for. */
export interface AllocationRequest {
  readonly owner: AddressOwner;
  /** About the owner's container. */
  readonly evidence: Evidence;
  /** Whether the owner's reservations are of an ADD that never finished, nor ever will: they are given out again. */
  readonly isRetry: boolean;
  /** Addresses that were asked for, for whichever range sets they lie in. */
  readonly addresses: readonly Address[];
}

/** Reserves an address of every set for an owner, or none. @throws CniError */
export function allocate(
  store: Store,
  sets: readonly RangeSet[],
  request: AllocationRequest,
): ResultIp[] {
  using undo = new DisposableStack();
  const { owner, isRetry } = request;
  const reserved = store.addressesOf(owner);
  if (isRetry) store.free(owner, reserved);
  const { wanted, rest } = assignToSets(sets, request.addresses);
  const ips = sets.map((set, index) => {
    try {
      const { address, range } = choose(
        store,
        { set, index, wanted: wanted[index] },
        request,
        reserved,
      );
      undo.defer(() => store.free(owner, [address]));
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

/** Gives each set the first of the addresses that lies in it; `rest` are those that no set takes. */
function assignToSets(
  sets: readonly RangeSet[],
  addresses: readonly Address[],
): { wanted: (Address | undefined)[]; rest: Address[] } {
  const rest = [...addresses];
  const wanted = sets.map((set) => {
    const index = rest.findIndex((address) => set.rangeOf(address) !== undefined);
    return index < 0 ? undefined : rest.splice(index, 1)[0];
  });
  return { wanted, rest };
}

/** A range set, its number, and the address of it that was asked for, if any. */
interface NumberedSet {
  readonly set: RangeSet;
  readonly index: number;
  readonly wanted?: Address | undefined;
}

interface Choice {
  readonly address: Address;
  readonly range: AllocationRange;
}

function choose(
  store: Store,
  numbered: NumberedSet,
  request: AllocationRequest,
  reserved: readonly Address[],
): Choice {
  const { set, wanted } = numbered;
  const { owner, isRetry } = request;
  if (wanted !== undefined) return fixed(store, set, wanted, request);
  if (!isRetry) refuseSecond(reserved, set, owner);
  return (
    (isRetry ? regained(store, set, reserved, request) : undefined) ??
    next(store, numbered, request)
  );
}

/** A runtime adds an attachment once. Its retry after a crash of its own must delete first. */
function refuseSecond(
  reserved: readonly Address[],
  set: RangeSet,
  { containerID }: AddressOwner,
): void {
  const already = reserved.find((address) => set.rangeOf(address) !== undefined);
  if (already !== undefined) {
    throw new CniError(
      CODE.INTERNAL,
      `${already} has been allocated to ${containerID}, duplicate allocation is not allowed`,
      'a DEL of this container gives it back',
    );
  }
}

/** The address of the set that an unfinished ADD had. */
function regained(
  store: Store,
  set: RangeSet,
  reserved: readonly Address[],
  { owner, evidence }: AllocationRequest,
): Choice | undefined {
  const address = reserved.find((own) => set.rangeOf(own) !== undefined);
  const range = address && set.rangeOf(address);
  if (address === undefined || range === undefined) return undefined;
  return store.reserve(address, owner, evidence) ? { address, range } : undefined;
}

function fixed(
  store: Store,
  set: RangeSet,
  address: Address,
  { owner, evidence }: AllocationRequest,
): Choice {
  const range = set.rangeOf(address);
  if (range === undefined) throw new CniError(CODE.INTERNAL, `${address} not in range set ${set}`);
  if (address.equals(range.gateway)) {
    throw new CniError(CODE.INTERNAL, `requested ip ${address} is subnet's gateway`);
  }
  const isReserved = () => store.reserve(address, owner, evidence);
  if (isReserved() || (store.reclaim(address) && isReserved())) return { address, range };
  const { containerID, ifName } = store.ownerOf(address) ?? {};
  throw new CniError(
    CODE.INTERNAL,
    `requested IP address ${address} is not available in range set ${set}`,
    containerID === undefined
      ? `its file is in "${store.folder}"`
      : `container "${containerID}" has it on interface "${ifName}": see "${store.folder}"`,
  );
}

function next(store: Store, numbered: NumberedSet, request: AllocationRequest): Choice {
  const { set } = numbered;
  return (
    firstFree(store, numbered, request) ??
    (reclaim(store, set) ? firstFree(store, numbered, request) : undefined) ??
    exhausted(store, set)
  );
}

function firstFree(
  store: Store,
  { set, index }: NumberedSet,
  { owner, evidence }: AllocationRequest,
): Choice | undefined {
  let taken: ReadonlySet<string> = new Set();
  let tries = 0;
  for (const choice of set.candidates(store.lastReserved(index))) {
    if (taken.has(choice.address.toString())) continue;
    if (store.reserve(choice.address, owner, evidence)) return choice;
    tries += 1;
    if (tries === BLIND_TRIES) taken = new Set(store.reserved().map(String));
  }
  return undefined;
}

/** Frees the set's addresses whose owners are provably dead, or that have none. @returns whether there were any */
const reclaim = (store: Store, set: RangeSet): boolean =>
  reservedOf(store, set).filter((address) => store.reclaim(address)).length > 0;

/** The reserved addresses of a set, without the gateway's. */
const reservedOf = (store: Store, set: RangeSet): Address[] =>
  store.reserved().filter((address) => {
    const range = set.rangeOf(address);
    return range !== undefined && !address.equals(range.gateway);
  });

function exhausted(store: Store, set: RangeSet): never {
  throw new CniError(CODE.INTERNAL, ...fullSet(store, set));
}

/** Why a set has no address: a sentence, and what to do. */
function fullSet(store: Store, set: RangeSet): [message: string, advice: string] {
  const message = `no IP addresses available in range set: ${set}`;
  if (set.capacity === 0n) {
    const gateways = set.ranges.map(({ gateway }) => gateway).join(', ');
    return [
      message,
      `it has no address but the gateway's (${gateways}), which is never given away: give the network a larger range, or another gateway`,
    ];
  }
  const states = reservedOf(store, set).map((address) => store.stateOf(address));
  const count = (...kinds: ReservationState[]) =>
    states.filter((state) => kinds.includes(state)).length;
  return [
    message,
    `held: ${states.length}, of these ${count('live')} by live containers, ${count('dead', 'corrupt')} by dead ones, ` +
      `${count('unknown')} by containers of which nothing is known. Each file in "${store.folder}" names its container: ` +
      `delete those that the runtime does not know, or give the network a larger range`,
  ];
}

/** STATUS: an ADD would find an address of the set, if need be one of a dead container. */
export function* checkFree(store: Store, set: RangeSet): Findings {
  const reserved = reservedOf(store, set);
  if (BigInt(reserved.length) < set.capacity) return;
  const canBeReclaimed = (address: Address) => ['dead', 'corrupt'].includes(store.stateOf(address));
  if (!reserved.some(canBeReclaimed)) yield unavailable(...fullSet(store, set));
}
