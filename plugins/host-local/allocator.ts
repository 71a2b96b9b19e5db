/** Choosing addresses: one of each range set, round robin, or the ones that were asked for. */
import type { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, prefixed } from '#lib/cni/error.ts';
import { type Findings, unavailable } from '#lib/cni/finding.ts';
import type { ResultIp } from '#lib/cni/result.ts';
import type { AllocationRange, RangeSet } from './range-set.ts';
import type { Evidence } from './evidence.ts';
import type { Holder } from './reservation.ts';
import type { Standing, Store } from './store.ts';

/** So many addresses in a row are tried by reserving them; then one look at the folder tells which are taken. */
const BLIND_TRIES = 16;

/** Who asks for addresses. */
export interface Claimant {
  readonly holder: Holder;
  /** What is noted of the container. */
  readonly evidence: Evidence;
  /** Whether what it holds already is of an ADD that never finished, nor ever will: then it gets it back. */
  readonly isRetry: boolean;
}

/** Reserves an address of every set for a holder, or none. @throws CniError */
export function allocate(
  store: Store,
  sets: readonly RangeSet[],
  claimant: Claimant,
  requested: readonly Address[],
): ResultIp[] {
  using undo = new DisposableStack();
  const { holder, isRetry } = claimant;
  const held = store.addressesOf(holder);
  if (isRetry) store.free(holder, held);
  const rest = [...requested];
  const ips = sets.map((set, index) => {
    try {
      const wanted = takeFrom(rest, set);
      if (wanted === undefined && !isRetry) refuseSecond(held, set, holder);
      const choice =
        wanted === undefined
          ? (regained(store, set, isRetry ? held : [], claimant) ??
            next(store, set, index, claimant))
          : fixed(store, set, wanted, claimant);
      const { address, range } = choice;
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

/** The address of the set that an unfinished ADD had. */
function regained(
  store: Store,
  set: RangeSet,
  held: readonly Address[],
  { holder, evidence }: Claimant,
): Choice | undefined {
  const address = held.find((own) => set.rangeOf(own) !== undefined);
  const range = address && set.rangeOf(address);
  if (address === undefined || range === undefined) return undefined;
  return store.reserve(address, holder, evidence) ? { address, range } : undefined;
}

function fixed(
  store: Store,
  set: RangeSet,
  address: Address,
  { holder, evidence }: Claimant,
): Choice {
  const range = set.rangeOf(address);
  if (range === undefined) throw new CniError(CODE.INTERNAL, `${address} not in range set ${set}`);
  if (address.equals(range.gateway)) {
    throw new CniError(CODE.INTERNAL, `requested ip ${address} is subnet's gateway`);
  }
  const isReserved = () => store.reserve(address, holder, evidence);
  if (isReserved() || (store.reclaim(address) && isReserved())) return { address, range };
  const { containerID, ifName } = store.holderOf(address) ?? {};
  throw new CniError(
    CODE.INTERNAL,
    `requested IP address ${address} is not available in range set ${set}`,
    containerID === undefined
      ? `its file is in "${store.folder}"`
      : `container "${containerID}" has it on interface "${ifName}": see "${store.folder}"`,
  );
}

function next(store: Store, set: RangeSet, index: number, claimant: Claimant): Choice {
  return (
    firstFree(store, set, index, claimant) ??
    (reclaim(store, set) ? firstFree(store, set, index, claimant) : undefined) ??
    exhausted(store, set)
  );
}

function firstFree(
  store: Store,
  set: RangeSet,
  index: number,
  { holder, evidence }: Claimant,
): Choice | undefined {
  let taken: ReadonlySet<string> = new Set();
  let tries = 0;
  for (const choice of set.candidates(store.lastReserved(index))) {
    if (taken.has(choice.address.toString())) continue;
    if (store.reserve(choice.address, holder, evidence)) return choice;
    tries += 1;
    if (tries === BLIND_TRIES) taken = new Set(store.reserved().map(String));
  }
  return undefined;
}

/** Frees the set's addresses that nobody holds, or containers that are provably dead. @returns whether there were any */
const reclaim = (store: Store, set: RangeSet): boolean =>
  heldOf(store.reserved(), set).filter((address) => store.reclaim(address)).length > 0;

/** The addresses of a set that are held, the gateway's apart. */
const heldOf = (reserved: readonly Address[], set: RangeSet): Address[] =>
  reserved.filter((address) => {
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
  const held = heldOf(store.reserved(), set);
  const standings = held.map((address) => store.standingOf(address));
  const count = (...kinds: Standing[]) => standings.filter((kind) => kinds.includes(kind)).length;
  return [
    message,
    `held: ${held.length}, of these ${count('live')} by live containers, ${count('dead', 'torn')} by dead ones, ` +
      `${count('unknown')} by containers of which nothing is known. Each file in "${store.folder}" names its container: ` +
      `delete those that the runtime does not know, or give the network a larger range`,
  ];
}

/** STATUS: an ADD would find an address of the set, if need be one of a dead container. */
export function* checkFree(store: Store, set: RangeSet): Findings {
  const held = heldOf(store.reserved(), set);
  if (BigInt(held.length) < set.capacity) return;
  const canBeHad = (address: Address) => ['dead', 'torn'].includes(store.standingOf(address));
  if (!held.some(canBeHad)) yield unavailable(...fullSet(store, set));
}
