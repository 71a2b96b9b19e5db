/**
 * The reservations of one network, under the reference plugin's lock, so that both may work on a node at once.
 *
 * An index by holder spares reading all of them. At the end of a call both folders get one modification time, of long ago; as
 * long as they have it, nobody else has added or removed a file. When they do not (the reference plugin was here, a call of
 * ours died, the machine was started anew, somebody tidied up) every reservation is read once and the index made anew.
 */
import type { Address } from '#lib/addr/address.ts';
import { sameAttachment } from '#lib/cni/attachment.ts';
import { cleanUp } from '#lib/cni/error.ts';
import { join, statIfAny } from '#lib/sys/file.ts';
import { sysError } from '#lib/sys/error.ts';
import { lockFile } from '#lib/sys/lock.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { ensureStateFolder } from '#lib/sys/state-file.ts';
import { type Evidence, type Life, lifeByAge, lifeOf } from './evidence.ts';
import { HolderIndex, type Holding, TornIndex } from './holder-index.ts';
import { encodeHolder, type Holder } from './reservation.ts';
import { ReservationFolder, type Reserved } from './reservation-folder.ts';
import { isStepTime, newStepTime } from './step-time.ts';

/** The reference plugin's modes. */
const FOLDER_MODE = 0o755;
const LOCK_MODE = 0o750;

/** What can be told of a reservation: nobody has it (its file is empty or torn), or how its container is. */
export type Standing = 'torn' | Life;

/** The reservations of a network, locked; `using` gives the lock back. */
export class Store implements Disposable {
  readonly folder: string;
  readonly #files: ReservationFolder;
  readonly #index: HolderIndex;
  readonly #lock: Disposable;
  /** What each holder has, by the content of its files: known once all were read in this call. */
  #scanned: Map<string, Holding> | undefined;
  /** Whether it was looked at if index and reservations agree; from then on they do, or `#scanned` tells. */
  #looked = false;
  #changed = false;
  /** Something failed half-way: index and reservations may disagree. */
  #unsound = false;

  /** Opens the folder, making it if need be, and takes the lock. @throws LockTimeout, SysError */
  constructor(dataDir: string, network: string) {
    this.folder = join(dataDir, network);
    ensureStateFolder(this.folder, FOLDER_MODE);
    this.#lock = lockFile(join(this.folder, 'lock'), LOCK_MODE);
    this.#files = new ReservationFolder(this.folder);
    this.#index = new HolderIndex(dataDir, network);
  }

  /** The same, but undefined when the network has no folder: then nothing is reserved. */
  static openIfAny(dataDir: string, network: string): Store | undefined {
    return statIfAny(join(dataDir, network)) === undefined
      ? undefined
      : new Store(dataDir, network);
  }

  /** The addresses that a holder has. @throws SysError */
  addressesOf(holder: Holder): Address[] {
    return this.#reservedOf(holder).map(({ address }) => address);
  }

  /** Every address that a file stands for, whoever holds it. @throws SysError */
  reserved(): Address[] {
    return this.#files.list();
  }

  /** Who holds an address, as far as its file tells. */
  holderOf(address: Address): Holder | undefined {
    return this.#files.holderOf(address);
  }

  /** Reserves an address for a holder. @returns false if somebody has it. @throws SysError */
  reserve(address: Address, holder: Holder, evidence: Evidence): boolean {
    if (this.#files.has(address)) return false;
    return this.#change(() => {
      using undo = new DisposableStack();
      const isAdded = this.#files.add(address, holder, (reserved) => {
        const before = this.#reservedOf(holder);
        const known = this.#noted(holder)?.evidence;
        undo.defer(() => this.#note({ holder, reserved: before, evidence: known }));
        // What the reference plugin reserved for the same holder is not known by what is known of ours.
        const isOurs = before.length === 0 || this.#evidenceOf(holder, before) !== undefined;
        // Before the file is there: whenever this call dies, there is evidence of what it made.
        this.#note({
          holder,
          reserved: [...before, reserved],
          evidence: isOurs ? evidence : undefined,
        });
      });
      if (isAdded) undo.move();
      return isAdded;
    });
  }

  /** What can be told of the reservation of an address. @throws SysError */
  standingOf(address: Address): Standing {
    const content = this.#files.read(address);
    if (content === 'torn' || content === undefined) return content ?? 'unknown';
    const writtenNs = this.#files.writtenNs(address);
    if (content === 'foreign') return lifeByAge(writtenNs);
    const evidence = this.#evidenceOf(content, [{ address, writtenNs }]);
    return evidence === undefined ? lifeByAge(writtenNs) : lifeOf(evidence);
  }

  /** What is known of the container that has all that this holder has; undefined if any of it is not ours. @throws SysError */
  evidenceOf(holder: Holder): Evidence | undefined {
    return this.#evidenceOf(holder, this.#reservedOf(holder));
  }

  #evidenceOf(holder: Holder, reserved: readonly Reserved[]): Evidence | undefined {
    const noted = this.#noted(holder);
    return noted && isNotedIn(noted, reserved) ? noted.evidence : undefined;
  }

  /** Frees an address that nobody holds, or a container that is provably dead. @returns whether it was so. @throws SysError */
  reclaim(address: Address): boolean {
    const standing = this.standingOf(address);
    if (standing !== 'torn' && standing !== 'dead') return false;
    const holder = this.#files.holderOf(address);
    if (holder === undefined) this.#change(() => this.#files.delete(address));
    else this.free(holder, [address]);
    return true;
  }

  /** Frees some of a holder's addresses. @throws SysError */
  free(holder: Holder, addresses: readonly Address[]): void {
    if (addresses.length === 0) return;
    this.#change(() => {
      const freed = new Set(addresses.map(String));
      const rest = this.#reservedOf(holder).filter(({ address }) => !freed.has(String(address)));
      for (const address of addresses) this.#files.delete(address);
      this.#note({ holder, reserved: rest, evidence: this.#noted(holder)?.evidence });
    });
  }

  /**
   * Frees what a holder has; if it has nothing, what very old releases reserved for the container. A process that undoes its ADD
   * frees what it reserved itself, not what a later ADD has by now. @throws SysError
   */
  release(holder: Holder): void {
    const own = this.addressesOf(holder).filter((address) => this.#files.isOwn(address));
    const container: Holder = { ...holder, ifName: '' };
    if (own.length > 0) this.free(holder, own);
    else this.free(container, this.addressesOf(container));
  }

  /** Frees all addresses whose holder is unwanted, and those of torn files. @throws AggregateError of those that can't be freed */
  releaseAll(isUnwanted: (holder: Holder, address: Address) => boolean): void {
    const doomed = this.reserved().filter((address) => {
      const content = this.#files.read(address);
      if (content === undefined || content === 'foreign') return false;
      return content === 'torn' || isUnwanted(content, address);
    });
    const release = (address: Address) => (): void =>
      this.#change(() => this.#files.delete(address));
    cleanUp(...doomed.map(release), () => this.#scan());
  }

  /** Locks what a holder has until this process ends: as long as that lives, the ADD may yet be finished. @throws SysError */
  guard(holder: Holder): void {
    for (const address of this.addressesOf(holder)) this.#files.guard(address);
  }

  /** Whether the process that guards what a holder has is still there. @throws SysError */
  isGuarded(holder: Holder): boolean {
    return this.addressesOf(holder).some((address) => this.#files.isGuarded(address));
  }

  /** The address that was given out last of a range set, if that is known. */
  lastReserved(set: number): Address | undefined {
    return this.#files.lastReserved(set);
  }

  /** @throws SysError */
  setLastReserved(set: number, address: Address): void {
    this.#change(() => this.#files.setLastReserved(set, address));
  }

  /** Gives the lock back, after noting that index and reservations agree. */
  [Symbol.dispose](): void {
    using _lock = this.#lock;
    if (!this.#changed) return;
    this.#tryIndex(() => {
      // What failed once may work now; if not, the next call does it.
      if (this.#unsound || !this.#files.isTidy) this.#scan();
      if (!this.#unsound) this.#markInStep();
    });
  }

  /**
   * What a holder has: what the files say. A file that says something else than the index was rewritten in place, which does not show in the
   * folder: then all of them are read.
   */
  #reservedOf(holder: Holder): Reserved[] {
    const noted = this.#noted(holder)?.reserved ?? [];
    const own = noted.filter(({ address }) => {
      const found = this.#files.holderOf(address);
      return found !== undefined && sameAttachment(found, holder);
    });
    if (own.length === noted.length || this.#scanned !== undefined) return own;
    this.#scan();
    return this.#reservedOf(holder);
  }

  /** What index or scan say of a holder. */
  #noted(holder: Holder): Holding | undefined {
    this.#lookOnce();
    return this.#scanned?.get(encodeHolder(holder)) ?? this.#indexed(holder);
  }

  #indexed(holder: Holder): Holding | undefined {
    // After a scan the index says nothing that is not known.
    return recover(
      () => this.#index.get(holder),
      instanceOf(TornIndex),
      () => {
        if (this.#scanned === undefined) this.#scan();
        return this.#scanned?.get(encodeHolder(holder));
      },
    );
  }

  #note(holding: Holding): void {
    this.#scanned?.set(encodeHolder(holding.holder), holding);
    this.#tryIndex(() => this.#index.set(holding));
  }

  /** A full disk must not keep anybody from giving addresses back: an index that can't be written is made anew later. */
  #tryIndex(body: () => void): void {
    recover(body, sysError(), () => {
      this.#unsound = true;
    });
  }

  #lookOnce(): void {
    if (this.#looked) return;
    this.#looked = true;
    const { modifiedNs } = this.#files;
    if (!isStepTime(modifiedNs) || this.#index.modifiedNs !== modifiedNs) this.#scan();
  }

  /** Changes the folder. What fails half-way leaves index and reservations out of step. */
  #change<T>(body: () => T): T {
    this.#lookOnce();
    this.#changed = true;
    try {
      return body();
    } catch (error) {
      this.#unsound = true;
      throw error;
    }
  }

  /** Reads every reservation, and makes the index anew; evidence is kept where it is of the very files that are there. */
  #scan(): void {
    this.#changed = true;
    this.#unsound = false;
    this.#files.tidy();
    const found = new Map<string, { holder: Holder; reserved: Reserved[] }>();
    for (const address of this.#files.list()) {
      const holder = this.#files.holderOf(address);
      if (holder === undefined) continue;
      const entry = found.get(encodeHolder(holder)) ?? { holder, reserved: [] };
      entry.reserved.push({ address, writtenNs: this.#files.writtenNs(address) });
      found.set(encodeHolder(holder), entry);
    }
    this.#scanned = new Map();
    for (const [key, { holder, reserved }] of found) {
      const noted = this.#indexed(holder);
      const evidence = noted && isNotedIn(noted, reserved) ? noted.evidence : undefined;
      this.#scanned.set(key, { holder, reserved, evidence });
    }
    const holdings = [...this.#scanned.values()];
    this.#tryIndex(() => this.#index.replace(holdings));
  }

  #markInStep(): void {
    const seconds = newStepTime();
    this.#files.setModified(seconds);
    this.#index.setModified(seconds);
  }
}

/** Whether what was noted is of these very files. */
const isNotedIn = (noted: Holding, reserved: readonly Reserved[]): boolean =>
  reserved.every(({ address, writtenNs }) =>
    noted.reserved.some((its) => its.address.equals(address) && its.writtenNs === writtenNs),
  );
