/**
 * The reservations of one network, under the reference plugin's lock: both plugins may work at
 * once.
 *
 * With an index by owner a call need not read all of them. At the end of a call both folders get
 * the same modification time, of long ago. If they do not have it any more, somebody else has added
 * or removed a file, or a call of ours died: every file is read once, and the index is made anew.
 */
import type { Address } from '#lib/addr/address.ts';
import { sameAttachment } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { join, statIfAny } from '#lib/sys/file.ts';
import { sysError } from '#lib/sys/error.ts';
import { lockFile } from '#lib/sys/lock.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { ensureStateFolder } from '#lib/sys/state-file.ts';
import type { NetworkFolder } from './config.ts';
import { type Evidence, type Liveness, livenessByAge, livenessOf } from './evidence.ts';
import { CorruptIndex, OwnerIndex, type OwnerRecord } from './owner-index.ts';
import { type AddressOwner, encodeOwner } from './reservation.ts';
import { type Reservation, ReservationFolder } from './reservation-folder.ts';
import { isStepTime, newStepTime } from './step-time.ts';

/** The reference plugin's modes. */
const FOLDER_MODE = 0o755;
const LOCK_MODE = 0o750;

/** How the owner of a reservation is; `corrupt`: the file names no owner, and reserves nothing. */
export type ReservationState = 'corrupt' | Liveness;

/** The reservations of a network, locked; `using` gives the lock back. */
export class Store implements Disposable {
  readonly folder: string;
  readonly #files: ReservationFolder;
  readonly #index: OwnerIndex;
  readonly #lock: Disposable;
  /** The records by owner, as the files have them: known once all files were read in this call. */
  #scanned: Map<string, OwnerRecord> | undefined;
  /** Whether index and files were compared: from then on they agree, or `#scanned` is set. */
  #isCompared = false;
  #isChanged = false;
  /** A change failed half-way: index and files may disagree. */
  #isUnsound = false;

  /** Opens the folder, making it if need be, and takes the lock. @throws LockTimeout, SysError */
  constructor(place: NetworkFolder) {
    this.folder = folderOf(place);
    ensureStateFolder(this.folder, FOLDER_MODE);
    this.#lock = lockFile(join(this.folder, 'lock'), LOCK_MODE);
    this.#files = new ReservationFolder(this.folder);
    this.#index = new OwnerIndex(place);
  }

  /** Opens the folder; undefined if there is none. @throws LockTimeout, SysError */
  static openIfAny(place: NetworkFolder): Store | undefined {
    return statIfAny(folderOf(place)) === undefined ? undefined : new Store(place);
  }

  /** The addresses that are reserved for an owner. @throws SysError */
  addressesOf(owner: AddressOwner): Address[] {
    return this.#reservationsOf(owner).map(({ address }) => address);
  }

  /** Every address that is reserved, for whomever. @throws SysError */
  reserved(): Address[] {
    return this.#files.list();
  }

  /** The owner of an address, as far as its file tells. */
  ownerOf(address: Address): AddressOwner | undefined {
    return this.#files.ownerOf(address);
  }

  /** Reserves an address for an owner. @returns false if it is reserved. @throws SysError */
  reserve(address: Address, owner: AddressOwner, evidence: Evidence): boolean {
    if (this.#files.has(address)) return false;
    return this.#change(() => {
      using undo = new DisposableStack();
      const isAdded = this.#files.add(address, owner, (reservation) => {
        const before = this.#reservationsOf(owner);
        const known = this.#recordOf(owner)?.evidence;
        undo.defer(() => this.#record({ owner, reservations: before, evidence: known }));
        // Our evidence says nothing about what the reference plugin reserved for the same owner.
        const isOurs = before.length === 0 || this.#evidenceOf(owner, before) !== undefined;
        // Before the file is there: whenever this call dies, there is evidence about what it made.
        this.#record({
          owner,
          reservations: [...before, reservation],
          evidence: isOurs ? evidence : undefined,
        });
      });
      if (isAdded) undo.move();
      return isAdded;
    });
  }

  /** The state of the reservation of an address. @throws SysError */
  stateOf(address: Address): ReservationState {
    const content = this.#files.read(address);
    if (content === 'corrupt' || content === undefined) return content ?? 'unknown';
    const writtenNs = this.#files.writtenNs(address);
    if (content === 'foreign') return livenessByAge(writtenNs);
    const evidence = this.#evidenceOf(content, [{ address, writtenNs }]);
    return evidence === undefined ? livenessByAge(writtenNs) : livenessOf(evidence);
  }

  /** The evidence about an owner; undefined if a reservation is not ours. @throws SysError */
  evidenceOf(owner: AddressOwner): Evidence | undefined {
    return this.#evidenceOf(owner, this.#reservationsOf(owner));
  }

  #evidenceOf(owner: AddressOwner, reservations: readonly Reservation[]): Evidence | undefined {
    const record = this.#recordOf(owner);
    return record && covers(record, reservations) ? record.evidence : undefined;
  }

  /**
   * Frees an address whose owner is provably dead, or whose file is corrupt.
   * @returns whether it was so. @throws SysError
   */
  reclaim(address: Address): boolean {
    const state = this.stateOf(address);
    if (state !== 'corrupt' && state !== 'dead') return false;
    const owner = this.#files.ownerOf(address);
    if (owner === undefined) this.#change(() => this.#files.delete(address));
    else this.free(owner, [address]);
    return true;
  }

  /** Frees some of an owner's addresses. @throws SysError */
  free(owner: AddressOwner, addresses: readonly Address[]): void {
    if (addresses.length === 0) return;
    this.#change(() => {
      const freed = new Set(addresses.map(String));
      const reservations = this.#reservationsOf(owner).filter(
        ({ address }) => !freed.has(String(address)),
      );
      for (const address of addresses) this.#files.delete(address);
      this.#record({ owner, reservations, evidence: this.#recordOf(owner)?.evidence });
    });
  }

  /**
   * Frees an owner's addresses, and those that very old releases reserved for the container alone.
   * A process that undoes its ADD frees only what it reserved itself: a later ADD may have reserved
   * addresses for the same owner. @throws SysError
   */
  release(owner: AddressOwner): void {
    for (const one of [owner, { ...owner, ifName: '' }]) {
      const own = this.addressesOf(one).filter((address) => this.#files.isOwn(address));
      this.free(one, own);
    }
  }

  /**
   * Frees all addresses whose owner is unwanted, and those of corrupt files.
   * @throws AggregateError of those that can't be freed
   */
  releaseAll(isUnwanted: (owner: AddressOwner, address: Address) => boolean): void {
    const unwanted = this.reserved().filter((address) => {
      const content = this.#files.read(address);
      if (content === undefined || content === 'foreign') return false;
      return content === 'corrupt' || isUnwanted(content, address);
    });
    const release = (address: Address) => (): void =>
      this.#change(() => this.#files.delete(address));
    cleanUp(...unwanted.map(release), () => this.#scan());
  }

  /**
   * Locks an owner's reservations until this process ends: as long as it lives, it may still finish
   * the ADD. @throws SysError
   */
  guard(owner: AddressOwner): void {
    for (const address of this.addressesOf(owner)) this.#files.guard(address);
  }

  /** Whether the process that guards an owner's reservations is still there. @throws SysError */
  isGuarded(owner: AddressOwner): boolean {
    return this.addressesOf(owner).some((address) => this.#files.isGuarded(address));
  }

  /** The address that was given out last of a range set, if that is known. */
  lastReserved(set: number): Address | undefined {
    return this.#files.lastReserved(set);
  }

  /** @throws SysError */
  setLastReserved(set: number, address: Address): void {
    this.#change(() => this.#files.setLastReserved(set, address));
  }

  /** Gives the lock back. Before that it marks index and files as in step. */
  [Symbol.dispose](): void {
    using _lock = this.#lock;
    if (!this.#isChanged) return;
    this.#tryIndex(() => {
      // A change that failed may work now; if it does not, the next call tries again.
      if (this.#isUnsound || !this.#files.isTidy) this.#scan();
      if (!this.#isUnsound) this.#markInStep();
    });
  }

  /**
   * An owner's reservations, as the files have them. If a file disagrees with the index, it was
   * rewritten in place, which does not change the folder's time: then all files are read.
   */
  #reservationsOf(owner: AddressOwner): Reservation[] {
    const recorded = this.#recordOf(owner)?.reservations ?? [];
    const own = recorded.filter(({ address }) => {
      const found = this.#files.ownerOf(address);
      return found !== undefined && sameAttachment(found, owner);
    });
    if (own.length === recorded.length || this.#scanned !== undefined) return own;
    this.#scan();
    return this.#reservationsOf(owner);
  }

  /** An owner's record, from the scan or the index. */
  #recordOf(owner: AddressOwner): OwnerRecord | undefined {
    this.#compareOnce();
    return this.#scanned?.get(encodeOwner(owner)) ?? this.#indexed(owner);
  }

  #indexed(owner: AddressOwner): OwnerRecord | undefined {
    // A scan replaces what can't be read of the index.
    return recover(
      () => this.#index.get(owner),
      instanceOf(CorruptIndex),
      () => {
        if (this.#scanned === undefined) this.#scan();
        return this.#scanned?.get(encodeOwner(owner));
      },
    );
  }

  #record(record: OwnerRecord): void {
    this.#scanned?.set(encodeOwner(record.owner), record);
    this.#tryIndex(() => this.#index.set(record));
  }

  /** On a full disk DEL frees addresses all the same: the index is made anew later. */
  #tryIndex(body: () => void): void {
    recover(body, sysError(), () => {
      this.#isUnsound = true;
    });
  }

  #compareOnce(): void {
    if (this.#isCompared) return;
    this.#isCompared = true;
    const { modifiedNs } = this.#files;
    if (!isStepTime(modifiedNs) || this.#index.modifiedNs !== modifiedNs) this.#scan();
  }

  /** Changes the files. A change that fails half-way leaves index and files out of step. */
  #change<T>(body: () => T): T {
    this.#compareOnce();
    this.#isChanged = true;
    try {
      return body();
    } catch (error) {
      this.#isUnsound = true;
      throw error;
    }
  }

  /**
   * Reads every reservation and makes the index anew. Evidence is kept if it is about these very
   * files.
   */
  #scan(): void {
    this.#isChanged = true;
    this.#isUnsound = false;
    this.#files.tidy();
    const found = this.#files.listByOwner();
    this.#scanned = new Map();
    for (const { owner, reservations } of found) {
      const record = this.#indexed(owner);
      const evidence = record && covers(record, reservations) ? record.evidence : undefined;
      this.#scanned.set(encodeOwner(owner), { owner, reservations, evidence });
    }
    const records = [...this.#scanned.values()];
    this.#tryIndex(() => this.#index.replace(records));
  }

  #markInStep(): void {
    const seconds = newStepTime();
    this.#files.setModified(seconds);
    this.#index.setModified(seconds);
  }
}

const folderOf = ({ dataDir, network }: NetworkFolder): string => join(dataDir, network);

/** Whether a record is about these very files. */
const covers = (record: OwnerRecord, reservations: readonly Reservation[]): boolean =>
  reservations.every(({ address, writtenNs }) =>
    record.reservations.some((its) => its.address.equals(address) && its.writtenNs === writtenNs),
  );
