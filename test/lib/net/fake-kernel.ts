/** Netlink without a kernel: a fake is a function that answers. And attributes as a tree, to compare what programs send. */
import { Attributes } from '#lib/net/attribute.ts';
import {
  decodeMessages,
  encodeMessage,
  type Message,
  NLMSG_DONE,
  NLMSG_ERROR,
} from '#lib/net/message.ts';
import { Netlink } from '#lib/net/netlink.ts';

/** Answers one message; the fake adds the sequence number. */
export type Answer = (request: Message) => readonly Omit<Message, 'sequence'>[];

/** A conversation with a function instead of a kernel. `requests` fills with what was asked. */
export function fakeNetlink(answer: Answer): { netlink: Netlink; requests: Message[] } {
  const requests: Message[] = [];
  const queue: Uint8Array[] = [];
  const netlink = new Netlink({
    send(bytes) {
      for (const request of decodeMessages(bytes)) {
        requests.push(request);
        const replies = answer(request).map((reply) =>
          encodeMessage({ ...reply, sequence: request.sequence }),
        );
        if (replies.length > 0) queue.push(Buffer.concat(replies));
      }
    },
    receive() {
      const next = queue.shift();
      if (next === undefined) throw new Error('The fake kernel has no more to say');
      return next;
    },
    [Symbol.dispose]() {},
  });
  return { netlink, requests };
}

/** An acknowledgement: 0 is success. */
export function ack(errno = 0): Omit<Message, 'sequence'> {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  return { type: NLMSG_ERROR, flags: 0x100, body };
}

/** The end of a list. */
export const done = (flags = 0): Omit<Message, 'sequence'> => ({
  type: NLMSG_DONE,
  flags,
  body: Buffer.alloc(4),
});

/** Hexadecimal digits with blanks between fields, as bytes. */
export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');

/** Attributes by their types, repeated ones as a list, values in hexadecimal; those whose path is named are taken apart. */
export function tree(
  bytes: Uint8Array,
  nested: Readonly<Record<string, number>> = {},
  path = '',
): Record<string, unknown> {
  const entries: Record<string, unknown[]> = {};
  for (const { type, value } of Attributes.decode(bytes).list) {
    const place = `${path}${type}`;
    const header = nested[place];
    const shown = Buffer.from(value).toString('hex');
    const list = (entries[type] ??= []);
    if (header === undefined) list.push(shown);
    else {
      const inner = tree(value.subarray(header), nested, `${place}.`);
      list.push(header === 0 ? inner : { header: shown.slice(0, header * 2), ...inner });
    }
  }
  return entries;
}
