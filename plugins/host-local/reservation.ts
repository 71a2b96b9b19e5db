/** Reservation files: named after the address, holding "containerID CR LF ifName", as the reference plugin writes them. */
import { Address } from '#lib/addr/address.ts';
import type { AttachmentKey } from '#lib/cni/attachment.ts';
import { isName } from '#lib/cni/environment.ts';

const LINE_BREAK = '\r\n';

/**
 * The attachment that an address is reserved for. `ifName` is empty in files of very old releases,
 * which name the container alone.
 */
export type AddressOwner = AttachmentKey;

/** The content of an owner's files. */
export const encodeOwner = ({ containerID, ifName }: AddressOwner): string =>
  ifName === '' ? containerID : `${containerID}${LINE_BREAK}${ifName}`;

/** Reads a file's content; undefined if it names no owner. */
export function decodeOwner(content: string): AddressOwner | undefined {
  const [containerID = '', ifName = '', ...more] = content.trim().split(LINE_BREAK);
  if (!isName(containerID) || more.length > 0 || ifName.includes('\0')) return undefined;
  return { containerID, ifName };
}

/** The address that a file name reserves; undefined for the folder's other files. */
export function addressOfFile(name: string): Address | undefined {
  if (!/^[0-9a-f.:]+$/.test(name)) return undefined;
  try {
    const address = Address.parse(name);
    return address.toString() === name ? address : undefined;
  } catch {
    // Another program's file.
    return undefined;
  }
}
