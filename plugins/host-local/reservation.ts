/** Reservation files: named after the address, holding "containerID CR LF ifName", as the reference plugin writes them. */
import { Address } from '#lib/addr/address.ts';
import type { AttachmentKey } from '#lib/cni/attachment.ts';
import { isName } from '#lib/cni/environment.ts';

const LINE_BREAK = '\r\n';

/** Who holds an address. `ifName` is empty in files of very old releases, which name the container alone. */
export type Holder = AttachmentKey;

/** The content of a holder's files. */
export const encodeHolder = ({ containerID, ifName }: Holder): string =>
  ifName === '' ? containerID : `${containerID}${LINE_BREAK}${ifName}`;

/** Reads a file's content; undefined if it is empty or torn: what a crash left, which reserves nothing. */
export function decodeHolder(content: string): Holder | undefined {
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
    // A name of somebody else's.
    return undefined;
  }
}
