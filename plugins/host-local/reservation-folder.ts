/**
 * The reservations of one network on disk, as the reference plugin has them: <dataDir>/<network>/
 * holds a file for each reserved address, and `last_reserved_ip.N`. Whoever changes it has its
 * lock.
 */
import type { Address } from '#lib/addr/address.ts';
import { sysError } from '#lib/sys/error.ts';
import { deleteFile, join, listFolder, setModified, statIfAny, TEMPORARY } from '#lib/sys/file.ts';
import { lockFileIfFree } from '#lib/sys/lock.ts';
import { recover } from '#lib/sys/recover.ts';
import { readStateIfRegular, stateFileId } from '#lib/sys/state-file.ts';
import { discardFile, TemporaryFile } from '#lib/sys/temporary-file.ts';
import { type AddressOwner, addressOfFile, decodeOwner, encodeOwner } from './reservation.ts';

/**
 * A reserved address, and when its file was written: evidence is about that file, not about a later
 * one of its name.
 */
export interface Reservation {
  readonly address: Address;
  /** Nanoseconds since 1970. */
  readonly writtenNs: bigint;
}

/**
 * The content of a file. `corrupt`: it is empty or zeros, as after a crash, and reserves nothing;
 * `foreign`: a text that names no owner; undefined: it is no file, or can't be read, so that its
 * owner is not known.
 */
export type Content = AddressOwner | 'corrupt' | 'foreign' | undefined;

/**
 * The files that this process made, by device and inode: an undo frees nothing else. Guarded files
 * stay open, so that no later file gets the inode of one of them.
 */
const madeHere = new Set<string>();

/** The folder of a network. */
export class ReservationFolder {
  readonly path: string;
  /** Whether no temporary file of this call is left. */
  #isTidy = true;

  constructor(path: string) {
    this.path = path;
  }

  #file(address: Address): string {
    return join(this.path, address.toString());
  }

  /** Every address that has a file, whoever its owner is. @throws SysError */
  list(): Address[] {
    return listFolder(this.path)
      .map(addressOfFile)
      .filter((address) => address !== undefined);
  }

  has(address: Address): boolean {
    return statIfAny(this.#file(address)) !== undefined;
  }

  read(address: Address): Content {
    const text = readable(this.#file(address));
    if (text === undefined) return undefined;
    return decodeOwner(text) ?? (/^[\0\s]*$/.test(text) ? 'corrupt' : 'foreign');
  }

  /** The owner of an address, as far as its file tells. */
  ownerOf(address: Address): AddressOwner | undefined {
    const content = this.read(address);
    return content === 'corrupt' || content === 'foreign' ? undefined : content;
  }

  /** The reservations of every owner, by reading all files. @throws SysError */
  listByOwner(): { owner: AddressOwner; reservations: Reservation[] }[] {
    const owners = new Map<string, { owner: AddressOwner; reservations: Reservation[] }>();
    for (const address of this.list()) {
      const owner = this.ownerOf(address);
      if (owner === undefined) continue;
      const entry = owners.get(encodeOwner(owner)) ?? { owner, reservations: [] };
      entry.reservations.push({ address, writtenNs: this.writtenNs(address) });
      owners.set(encodeOwner(owner), entry);
    }
    return [...owners.values()];
  }

  /** When an address's file was written, in nanoseconds since 1970. @throws SysError */
  writtenNs(address: Address): bigint {
    return statIfAny(this.#file(address))?.mtimeNs ?? 0n;
  }

  /**
   * Reserves an address: its file appears whole. `announce` gets the reservation just before that.
   * @returns false if the address is reserved already. @throws SysError
   */
  add(
    address: Address,
    owner: AddressOwner,
    announce: (reservation: Reservation) => void,
  ): boolean {
    const path = this.#file(address);
    const temporary = new TemporaryFile(path, encodeOwner(owner));
    using undo = new DisposableStack();
    undo.defer(() => {
      temporary[Symbol.dispose]();
      this.#isTidy &&= statIfAny(temporary.path) === undefined;
    });
    announce({ address, writtenNs: statIfAny(temporary.path)?.mtimeNs ?? 0n });
    if (!temporary.linkTo(path)) return false;
    madeHere.add(stateFileId(path) ?? '');
    return true;
  }

  /**
   * Whether this process made an address's file; true as well if it made none at all.
   * @throws SysError
   */
  isOwn(address: Address): boolean {
    return madeHere.size === 0 || madeHere.has(stateFileId(this.#file(address)) ?? '');
  }

  /** Locks an address's file until this process ends. @throws SysError */
  guard(address: Address): void {
    lockFileIfFree(this.#file(address));
  }

  /** Whether the process that guards an address's file is still there. @throws SysError */
  isGuarded(address: Address): boolean {
    using lock = lockFileIfFree(this.#file(address));
    return lock === undefined;
  }

  get isTidy(): boolean {
    return this.#isTidy;
  }

  /** Frees an address; one that is free is accepted. @throws SysError */
  delete(address: Address): void {
    deleteFile(this.#file(address));
  }

  /** Removes the temporary files that other calls left. @throws SysError */
  tidy(): void {
    const left = listFolder(this.path).filter((name) => name.startsWith(TEMPORARY));
    this.#isTidy = left.filter((name) => !discardFile(join(this.path, name))).length === 0;
  }

  #marker(set: number): string {
    return join(this.path, `last_reserved_ip.${set}`);
  }

  /** The address that was given out last of a range set, if that is known. */
  lastReserved(set: number): Address | undefined {
    const text = readable(this.#marker(set))?.trim();
    return text === undefined ? undefined : addressOfFile(text);
  }

  /** @throws SysError */
  setLastReserved(set: number, address: Address): void {
    const path = this.#marker(set);
    using file = new TemporaryFile(path, address.toString());
    // The old file is deleted first: ext4 starts to write to the disk when a file replaces another.
    // A call that dies in between loses only a hint.
    deleteFile(path);
    file.moveTo(path);
  }

  /** When a file was last added or removed. @throws SysError */
  get modifiedNs(): bigint {
    return statIfAny(this.path)?.mtimeNs ?? 0n;
  }

  /** @throws SysError */
  setModified(seconds: number): void {
    setModified(this.path, seconds);
  }
}

/**
 * The text of a file; undefined if there is none, or if it can't be read: one such file must not
 * block a network.
 */
const readable = (path: string): string | undefined =>
  recover(() => readStateIfRegular(path), sysError());
