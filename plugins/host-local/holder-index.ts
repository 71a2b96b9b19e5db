/**
 * The index of a network's reservations by holder: so that no call need read every reservation, and to keep the evidence by which
 * a dead holder is known. It is ours alone, beside the folders that the reference plugin walks: <dataDir>/.attachments/<network>/,
 * one file a holder. It may be lost: the reservations are the truth, and the store makes it anew.
 */
import { stateFileName } from '#lib/ownership/file-name.ts';
import { isSysError } from '#lib/sys/error.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import { deleteFile, setModified, statIfAny, join } from '#lib/sys/file.ts';
import { ensureStateFolder, listStateFolder, readState, refuseLink } from '#lib/sys/state-file.ts';
import { replaceFile } from '#lib/sys/temporary-file.ts';
import { parseIndexEntry } from './config.ts';
import { decodeEvidence, encodeEvidence, type Evidence } from './evidence.ts';
import type { Holder } from './reservation.ts';
import type { Reserved } from './reservation-folder.ts';

/** Beside the folders of the networks; networks can't have a name that begins with a dot. */
const INDEX_FOLDER = '.attachments';
const FOLDER_MODE = 0o700;

/** What a holder has, and what is known of the container. */
export interface Holding {
  readonly holder: Holder;
  readonly reserved: readonly Reserved[];
  /** Undefined for what the reference plugin reserved. */
  readonly evidence: Evidence | undefined;
}

/** A file of the index that is not whole, after a power cut, or can't be read. */
export class TornIndex extends Error {
  override name = 'TornIndex';
}

/** The index of one network. */
export class HolderIndex {
  /** That of all networks, and this one's in it. */
  readonly #parent: string;
  readonly #folder: string;
  /** Whether neither is a link. */
  #isLooked = false;

  constructor(dataDir: string, network: string) {
    this.#parent = join(dataDir, INDEX_FOLDER);
    this.#folder = join(this.#parent, network);
  }

  #path({ containerID, ifName }: Holder): string {
    this.#refuseLinks();
    return join(this.#folder, stateFileName([containerID, ifName]));
  }

  /** What is elsewhere is no evidence. */
  #refuseLinks(): void {
    if (this.#isLooked) return;
    for (const folder of [this.#parent, this.#folder]) refuseLink(folder);
    this.#isLooked = true;
  }

  /** What a holder has; undefined for nothing. @throws TornIndex; SysError */
  get(holder: Holder): Holding | undefined {
    const text = this.#read(holder);
    if (text === undefined) return undefined;
    const entry = parseIndexEntry(text);
    if (entry === undefined) throw new TornIndex(this.#path(holder));
    const { reserved, evidence } = entry;
    return { holder, reserved, evidence: evidence && decodeEvidence(evidence) };
  }

  #read(holder: Holder): string | undefined {
    try {
      return readState(this.#path(holder));
    } catch (error) {
      if (isSysError(error)) throw new TornIndex(this.#folder, { cause: error });
      throw error;
    }
  }

  /** Notes what a holder has; nothing removes it. What is so already is not written. @throws SysError */
  set(holding: Holding): void {
    const path = this.#path(holding.holder);
    const text = encode(holding);
    if (holding.reserved.length === 0) deleteFile(path);
    else if (this.#readIfReadable(holding.holder) !== text) replaceFile(path, text);
  }

  #readIfReadable(holder: Holder): string | undefined {
    return recover(() => this.#read(holder), instanceOf(TornIndex));
  }

  /** Makes the index say this and nothing else. @throws SysError */
  replace(holdings: readonly Holding[]): void {
    for (const folder of [this.#parent, this.#folder]) ensureStateFolder(folder, FOLDER_MODE);
    const keep = new Set(holdings.map(({ holder }) => this.#path(holder)));
    for (const name of listStateFolder(this.#folder)) {
      const path = join(this.#folder, name);
      if (!keep.has(path)) deleteFile(path);
    }
    for (const holding of holdings) this.set(holding);
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

const encode = ({ holder, reserved, evidence }: Holding): string =>
  JSON.stringify({
    containerID: holder.containerID,
    ifname: holder.ifName,
    reserved: reserved.map(({ address, writtenNs }) => ({
      address: address.toString(),
      writtenNs: writtenNs.toString(),
    })),
    ...(evidence === undefined ? {} : { evidence: encodeEvidence(evidence) }),
  });
