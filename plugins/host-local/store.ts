/**
 * The reservations of one network on disk: the reference plugin's files in its folder under its lock, so that both may work
 * on a node at once. <dataDir>/<network>/ holds a file for each address in use, `last_reserved_ip.N` and `lock`.
 *
 * An index by holder spares reading all of them. At the end of a call both folders get one modification time, of long ago; as
 * long as they have it, nobody else has added or removed a file. When they do not (the reference plugin was here, a call of
 * ours died, somebody tidied up) every reservation is read once and the index made anew.
 */
import type { Address } from '#lib/addr/address.ts';
import { sameAttachment } from '#lib/cni/attachment.ts';
import {
  createFile,
  deleteFile,
  discardFile,
  ensureFolder,
  linkFile,
  listFolder,
  readTextIfAny,
  replaceFile,
  setModified,
  statIfAny,
  temporaryName,
  join,
} from '#lib/sys/file.ts';
import { isSysError } from '#lib/sys/error.ts';
import { lockFile } from '#lib/sys/lock.ts';
import { HolderIndex, TornIndex } from './holder-index.ts';
import { addressOfFile, decodeHolder, encodeHolder, type Holder } from './reservation.ts';

/** The reference plugin's modes. */
const FOLDER_MODE = 0o755;
const LOCK_MODE = 0o750;

/**
 * The times that mark both folders are of the years 1973 to 1976, in whole seconds: whatever changes a folder makes its time
 * the present, however coarse the clock of kernel or file system is.
 */
const ERA = { begin: 100_000_000, seconds: 100_000_000 } as const;

const isOurTime = (ns: bigint): boolean =>
  ns >= BigInt(ERA.begin) * 1_000_000_000n && ns < BigInt(ERA.begin + ERA.seconds) * 1_000_000_000n;

/** How the names of our temporary files begin: what a crash left of them goes. */
const TEMPORARY = '.tmp-';

/** The reservations of a network, locked; `using` gives the lock back. */
export class Store implements Disposable {
  readonly folder: string;
  readonly #index: HolderIndex;
  readonly #lock: Disposable;
  /** What each holder has, by the content of its files: known once all were read in this call. */
  #scanned: Map<string, { holder: Holder; addresses: Address[] }> | undefined;
  /** Whether it was looked at if index and reservations agree; from then on they do, or `#scanned` tells. */
  #looked = false;
  #changed = false;
  /** Something failed half-way: the folders must not get our time. */
  #unsound = false;

  /** Opens the folder, making it if need be, and takes the lock. @throws LockTimeout, SysError */
  constructor(dataDir: string, network: string) {
    this.folder = join(dataDir, network);
    ensureFolder(this.folder, FOLDER_MODE);
    this.#lock = lockFile(join(this.folder, 'lock'), LOCK_MODE);
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
    return this.#noted(holder).filter((address) => {
      const found = this.#holderOf(address);
      return found !== undefined && sameAttachment(found, holder);
    });
  }

  /** Every address that a file stands for, whoever holds it. @throws SysError */
  reserved(): Address[] {
    return listFolder(this.folder)
      .map(addressOfFile)
      .filter((address) => address !== undefined);
  }

  /** Reserves an address for a holder: the file appears whole. @returns false if somebody has it. @throws SysError */
  reserve(address: Address, holder: Holder): boolean {
    const path = this.#path(address);
    if (statIfAny(path) !== undefined) return false;
    return this.#change(() => {
      const temporary = temporaryName(path);
      try {
        createFile(temporary, encodeHolder(holder));
        if (!linkFile(temporary, path)) return false;
      } finally {
        discardFile(temporary);
      }
      this.#note(holder, [...this.#noted(holder), address]);
      return true;
    });
  }

  /** Frees an address that nobody holds: its file is empty or torn. @returns whether it was so. @throws SysError */
  reclaimTorn(address: Address): boolean {
    if (!this.#isTorn(address)) return false;
    return this.#change(() => deleteFile(this.#path(address)));
  }

  /** Frees some of a holder's addresses. @throws SysError */
  free(holder: Holder, addresses: readonly Address[]): void {
    if (addresses.length === 0) return;
    this.#change(() => {
      for (const address of addresses) deleteFile(this.#path(address));
      this.#note(
        holder,
        this.#noted(holder).filter((noted) => !addresses.some((address) => address.equals(noted))),
      );
    });
  }

  /** Frees what a holder has; if it has nothing, what very old releases reserved for the container. @throws SysError */
  release(holder: Holder): void {
    const own = this.addressesOf(holder);
    const container: Holder = { ...holder, ifName: '' };
    if (own.length > 0) this.free(holder, own);
    else this.free(container, this.addressesOf(container));
  }

  /** Frees all addresses whose holder is unwanted, and those of torn files. @throws SysError */
  releaseAll(isUnwanted: (holder: Holder) => boolean): void {
    this.#change(() => {
      for (const address of this.reserved()) {
        const holder = this.#holderOf(address);
        const isDoomed = holder === undefined ? this.#isTorn(address) : isUnwanted(holder);
        if (isDoomed) deleteFile(this.#path(address));
      }
    });
    this.#scan();
  }

  /** The address that was given out last of a range set, if that is known. */
  lastReserved(set: number): Address | undefined {
    const text = readable(this.#markerPath(set))?.trim();
    return text === undefined ? undefined : addressOfFile(text);
  }

  /** @throws SysError */
  setLastReserved(set: number, address: Address): void {
    this.#change(() => replaceFile(this.#markerPath(set), address.toString()));
  }

  /** Gives the lock back, after noting that index and reservations agree. */
  [Symbol.dispose](): void {
    using _lock = this.#lock;
    if (this.#changed && !this.#unsound) this.#tryIndex(() => this.#markInStep());
  }

  #isTorn(address: Address): boolean {
    const content = this.#contentOf(address);
    return content !== undefined && decodeHolder(content) === undefined;
  }

  #path(address: Address): string {
    return join(this.folder, address.toString());
  }

  #markerPath(set: number): string {
    return join(this.folder, `last_reserved_ip.${set}`);
  }

  #holderOf(address: Address): Holder | undefined {
    const content = this.#contentOf(address);
    return content === undefined ? undefined : decodeHolder(content);
  }

  /** What a reservation says; undefined if there is none, or what has its name can't be read: taken, nobody knows by whom. */
  #contentOf(address: Address): string | undefined {
    return readable(this.#path(address));
  }

  /** What index or scan say that a holder has. */
  #noted(holder: Holder): readonly Address[] {
    this.#lookOnce();
    if (this.#scanned === undefined) {
      try {
        return this.#index.get(holder);
      } catch (error) {
        if (!(error instanceof TornIndex)) throw error;
        this.#scan();
      }
    }
    return this.#scanned?.get(encodeHolder(holder))?.addresses ?? [];
  }

  #note(holder: Holder, addresses: readonly Address[]): void {
    this.#scanned?.set(encodeHolder(holder), { holder, addresses: [...addresses] });
    this.#tryIndex(() => this.#index.set(holder, addresses));
  }

  /** A full disk must not keep anybody from giving addresses back: an index that can't be written is made anew later. */
  #tryIndex(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!isSysError(error)) throw error;
      this.#unsound = true;
    }
  }

  #lookOnce(): void {
    if (this.#looked) return;
    this.#looked = true;
    const modifiedNs = statIfAny(this.folder)?.mtimeNs ?? 0n;
    if (!isOurTime(modifiedNs) || this.#index.modifiedNs !== modifiedNs) this.#scan();
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

  /** Reads every reservation, and makes the index anew. */
  #scan(): void {
    const scanned = new Map<string, { holder: Holder; addresses: Address[] }>();
    for (const name of listFolder(this.folder)) {
      if (name.startsWith(TEMPORARY)) discardFile(join(this.folder, name));
      const address = addressOfFile(name);
      const holder = address && this.#holderOf(address);
      if (address === undefined || holder === undefined) continue;
      const entry = scanned.get(encodeHolder(holder)) ?? { holder, addresses: [] };
      entry.addresses.push(address);
      scanned.set(encodeHolder(holder), entry);
    }
    this.#scanned = scanned;
    this.#changed = true;
    this.#tryIndex(() => this.#index.replace([...scanned.values()]));
  }

  #markInStep(): void {
    const seconds = ERA.begin + Math.floor(Math.random() * ERA.seconds);
    setModified(this.folder, seconds);
    this.#index.setModified(seconds);
  }
}

/** The text of a file; undefined if there is none, or it is something that can't be read: that must not block a network. */
function readable(path: string): string | undefined {
  try {
    return readTextIfAny(path);
  } catch (error) {
    if (isSysError(error)) return undefined;
    throw error;
  }
}
