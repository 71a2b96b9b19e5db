/**
 * The index of a network's reservations by owner: with it no call has to read every reservation, and
 * it keeps the evidence that an owner is dead. The reference plugin does not know it. It lies beside
 * the folders that the reference plugin reads: <dataDir>/.attachments/<network>/, one file an owner.
 * It may be deleted: the reservations are the truth, and the store makes the index anew.
 */
import { stateFileName } from '#lib/ownership/file-name.ts';
import { isSysError } from '#lib/sys/error.ts';
import { deleteFile, setModified, statIfAny, join } from '#lib/sys/file.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { ensureStateFolder, listStateFolder, readState, refuseLink } from '#lib/sys/state-file.ts';
import { replaceFile } from '#lib/sys/temporary-file.ts';
import { type NetworkFolder, parseIndexEntry } from './config.ts';
import { decodeEvidence, encodeEvidence, type Evidence } from './evidence.ts';
import type { AddressOwner } from './reservation.ts';
import type { Reservation } from './reservation-folder.ts';

/** Beside the folders of the networks; networks can't have a name that begins with a dot. */
const INDEX_FOLDER = '.attachments';
const FOLDER_MODE = 0o700;

/** The reservations of an owner, and the evidence about its container. */
export interface OwnerRecord {
  readonly owner: AddressOwner;
  readonly reservations: readonly Reservation[];
  /** Undefined for what the reference plugin reserved. */
  readonly evidence: Evidence | undefined;
}

/** A file of the index that is not whole, as after a power cut, or that can't be read. */
export class CorruptIndex extends Error {
  override name = 'CorruptIndex';
}

/** The index of one network. */
export class OwnerIndex {
  /** The folder of all networks, and this network's folder in it. */
  readonly #parent: string;
  readonly #folder: string;
  /** Whether both were looked at: neither is a link. */
  #isChecked = false;

  constructor({ dataDir, network }: NetworkFolder) {
    this.#parent = join(dataDir, INDEX_FOLDER);
    this.#folder = join(this.#parent, network);
  }

  #path({ containerID, ifName }: AddressOwner): string {
    this.#refuseLinks();
    return join(this.#folder, stateFileName([containerID, ifName]));
  }

  /** A link may lead to files that somebody else wrote: those are no evidence. */
  #refuseLinks(): void {
    if (this.#isChecked) return;
    for (const folder of [this.#parent, this.#folder]) refuseLink(folder);
    this.#isChecked = true;
  }

  /** The record of an owner; undefined if there is none. @throws CorruptIndex; SysError */
  get(owner: AddressOwner): OwnerRecord | undefined {
    const text = this.#read(owner);
    if (text === undefined) return undefined;
    const entry = parseIndexEntry(text);
    if (entry === undefined) throw new CorruptIndex(this.#path(owner));
    const { reserved, evidence } = entry;
    return { owner, reservations: reserved, evidence: evidence && decodeEvidence(evidence) };
  }

  #read(owner: AddressOwner): string | undefined {
    try {
      return readState(this.#path(owner));
    } catch (error) {
      if (isSysError(error)) throw new CorruptIndex(this.#folder, { cause: error });
      throw error;
    }
  }

  /** Writes an owner's record if it differs from the file; without reservations deletes the file. @throws SysError */
  set(record: OwnerRecord): void {
    const path = this.#path(record.owner);
    const text = encode(record);
    if (record.reservations.length === 0) deleteFile(path);
    else if (this.#readIfReadable(record.owner) !== text) replaceFile(path, text);
  }

  /** A file that can't be read is replaced. */
  #readIfReadable(owner: AddressOwner): string | undefined {
    return recover(() => this.#read(owner), instanceOf(CorruptIndex));
  }

  /** Makes the index hold these records and nothing else. @throws SysError */
  replace(records: readonly OwnerRecord[]): void {
    for (const folder of [this.#parent, this.#folder]) ensureStateFolder(folder, FOLDER_MODE);
    const keep = new Set(records.map(({ owner }) => this.#path(owner)));
    for (const name of listStateFolder(this.#folder)) {
      const path = join(this.#folder, name);
      if (!keep.has(path)) deleteFile(path);
    }
    for (const record of records) this.set(record);
  }

  /** When a file was last added or removed; undefined if there is no index. */
  get modifiedNs(): bigint | undefined {
    return statIfAny(this.#folder)?.mtimeNs;
  }

  /** @throws SysError */
  setModified(seconds: number): void {
    setModified(this.#folder, seconds);
  }
}

/** The names of the keys are on disk: other releases read them. */
const encode = ({ owner, reservations, evidence }: OwnerRecord): string =>
  JSON.stringify({
    containerID: owner.containerID,
    ifname: owner.ifName,
    reserved: reservations.map(({ address, writtenNs }) => ({
      address: address.toString(),
      writtenNs: writtenNs.toString(),
    })),
    ...(evidence === undefined ? {} : { evidence: encodeEvidence(evidence) }),
  });
