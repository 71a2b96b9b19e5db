/** Ethernet addresses, as text in lower case with colons. */
import { AddressError } from './address.ts';

/** A 48-bit hardware address such as "0a:58:0a:f4:01:02". */
export type Mac = string & { readonly __mac: unique symbol };

/**
 * Reads six hexadecimal octets with colons or dashes, or three dotted groups, as Go's net.ParseMAC
 * does. @throws AddressError
 */
export function parseMac(text: string): Mac {
  const hex =
    /^[0-9a-f]{4}(\.[0-9a-f]{4}){2}$|^[0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}$/i.test(text)
      ? text.replace(/[^0-9a-f]/gi, '')
      : undefined;
  if (hex === undefined) throw new AddressError(`"${text}" is not a MAC address`);
  return macFromBytes(Buffer.from(hex, 'hex'));
}

/** Whether an interface can have the address: neither a group's nor zero. */
export const isUnicast = (mac: Mac): boolean =>
  ((macToBytes(mac)[0] ?? 0) & 1) === 0 && mac !== '00:00:00:00:00:00';

/** The text form of six bytes. */
export function macFromBytes(bytes: ArrayLike<number>): Mac {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/** Six bytes in wire order. */
export function macToBytes(mac: Mac): Uint8Array {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}
