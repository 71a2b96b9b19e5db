/**
 * The index of a network's reservations by holder, so that no call need read every reservation. It is ours alone, beside the
 * folders that the reference plugin walks: <dataDir>/.attachments/<network>/, one file a holder. It may be lost: the
 * reservations are the truth, and the store makes it anew.
 */
import * as z from 'zod/mini';
import { Address } from '#lib/addr/address.ts';
import { object, textAs } from '#lib/cni/schema.ts';
import { isSysError } from '#lib/sys/error.ts';
import { sha512 } from '#lib/sys/digest.ts';
import {
  deleteFile,
  ensureFolder,
  listFolder,
  readTextIfAny,
  replaceFile,
  setModified,
  statIfAny,
  join,
} from '#lib/sys/file.ts';
import type { Holder } from './reservation.ts';

/** Beside the folders of the networks; networks can't have a name that begins with a dot. */
const INDEX_FOLDER = '.attachments';
const FOLDER_MODE = 0o700;

/** The longest file name that every file system takes, in bytes. */
const NAME_LIMIT = 255;

/** What a file of the index holds. */
const Entry = object({
  containerID: z.string(),
  ifname: z.string(),
  addresses: z.array(textAs((text) => Address.parse(text))),
});

/** A file of the index that is not whole, after a power cut, or can't be read. */
export class TornIndex extends Error {
  override name = 'TornIndex';
}

/** The index of one network. */
export class HolderIndex {
  readonly #folder: string;

  constructor(dataDir: string, network: string) {
    this.#folder = join(dataDir, INDEX_FOLDER, network);
  }

  /** A colon can be in neither a container ID nor an interface's name. */
  #path({ containerID, ifName }: Holder): string {
    const name = `${containerID}:${ifName}`;
    return join(this.#folder, Buffer.byteLength(name) > NAME_LIMIT ? sha512(name) : name);
  }

  /** The addresses of a holder. @throws TornIndex; SysError */
  get(holder: Holder): Address[] {
    const text = this.#read(holder);
    if (text === undefined) return [];
    const entry = z.safeParse(Entry, parseJson(text));
    if (!entry.success) throw new TornIndex(this.#path(holder));
    return entry.data.addresses;
  }

  #read(holder: Holder): string | undefined {
    try {
      return readTextIfAny(this.#path(holder));
    } catch (error) {
      if (isSysError(error)) throw new TornIndex(this.#path(holder), { cause: error });
      throw error;
    }
  }

  /** Notes the addresses of a holder; none removes it. @throws SysError */
  set(holder: Holder, addresses: readonly Address[]): void {
    const { containerID, ifName } = holder;
    if (addresses.length === 0) deleteFile(this.#path(holder));
    else {
      const entry = { containerID, ifname: ifName, addresses: addresses.map(String) };
      replaceFile(this.#path(holder), JSON.stringify(entry));
    }
  }

  /** Makes the index say this and nothing else. @throws SysError */
  replace(holders: readonly { holder: Holder; addresses: readonly Address[] }[]): void {
    ensureFolder(this.#folder, FOLDER_MODE);
    const keep = new Set(holders.map(({ holder }) => this.#path(holder)));
    for (const name of listFolder(this.#folder)) {
      const path = join(this.#folder, name);
      if (!keep.has(path)) deleteFile(path);
    }
    for (const { holder, addresses } of holders) this.set(holder, addresses);
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
