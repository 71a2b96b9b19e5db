/** Netlink messages (struct nlmsghdr, linux/netlink.h). Pure: values to bytes and back. */
import { Attributes, MalformedMessage, viewOf } from './attribute.ts';

/** linux/netlink.h: flags of requests, and of answers. */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  NONREC: 0x100,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

/** linux/netlink.h: messages of the protocol itself. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;

/** Length of struct nlmsghdr. */
const HEADER_BYTES = 16;

/** One message. `body` is the family's fixed header and the attributes after it. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** The bytes of a message, padded to four. */
export function encodeMessage({ type, flags, sequence, body }: Message): Uint8Array {
  const bytes = Buffer.alloc((HEADER_BYTES + body.length + 3) & ~3);
  bytes.writeUInt32LE(HEADER_BYTES + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** The messages of one datagram. @throws MalformedMessage when a length goes beyond the bytes */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  const messages: Message[] = [];
  for (let offset = 0; offset + HEADER_BYTES <= bytes.length;) {
    const length = view.getUint32(offset, true);
    if (length < HEADER_BYTES || offset + length > bytes.length) {
      throw new MalformedMessage(`Message of ${length} bytes in ${bytes.length - offset}`);
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      body: bytes.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += (length + 3) & ~3;
  }
  return messages;
}

/**
 * The content of an acknowledgement. `errno` 0 is success; the rest is the extended ack, where the
 * kernel gave one.
 */
export interface Acknowledgement {
  readonly errno: number;
  readonly kernelMessage: string | undefined;
  /** Where in the request the kernel found the fault, in bytes. */
  readonly offset: number | undefined;
}

/** Reads an NLMSG_ERROR, or the NLMSG_DONE that ends a dump. @throws MalformedMessage */
export function decodeAcknowledgement({ type, flags, body }: Message): Acknowledgement {
  if (type === NLMSG_DONE && body.length < 4) return SUCCESS;
  if (body.length < 4) throw new MalformedMessage(`Acknowledgement of ${body.length} bytes`);
  const view = viewOf(body);
  const errno = -view.getInt32(0, true);
  if (errno < 0) throw new MalformedMessage(`Acknowledgement with the error number ${-errno}`);
  if ((flags & NLM_F.ACK_TLVS) === 0) return { ...SUCCESS, errno };
  const extended = Attributes.decode(body.subarray(extendedOffset(type, flags, view)));
  return {
    errno,
    kernelMessage: extended.text(NLMSGERR_ATTR_MSG),
    offset: extended.u32(NLMSGERR_ATTR_OFFS),
  };
}

const SUCCESS: Acknowledgement = { errno: 0, kernelMessage: undefined, offset: undefined };

/**
 * The extended ack comes after the errno and, in an error, the request: all of it, or its header if
 * it was capped.
 */
function extendedOffset(type: number, flags: number, view: DataView): number {
  if (type === NLMSG_DONE) return 4;
  if ((flags & NLM_F.CAPPED) !== 0 || view.byteLength < 8) return 4 + HEADER_BYTES;
  return 4 + ((view.getUint32(4, true) + 3) & ~3);
}
