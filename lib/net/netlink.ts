/**
 * Netlink conversations: requests with their answers, acknowledgements and dumps, over a socket or
 * a fake kernel.
 */
import { now } from '#lib/sys/clock.ts';
import { errnoMessage, errnoName, sysError, SysError } from '#lib/sys/error.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { type Expected, recover } from '#lib/sys/recover.ts';
import { AF_NETLINK, Socket, SOCK_RAW } from '#lib/sys/socket.ts';
import { MalformedMessage } from './attribute.ts';
import {
  type Acknowledgement,
  decodeAcknowledgement,
  decodeMessages,
  encodeMessage,
  type Message,
  NLM_F,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './message.ts';

/**
 * The kernel's refusal. `op` is what was asked, `code` the errno's name, `kernelMessage` its own
 * words if any.
 */
export class NetlinkError extends Error {
  override name = 'NetlinkError';
  readonly op: string;
  readonly code: string;
  readonly kernelMessage: string | undefined;
  readonly offset: number | undefined;

  constructor(op: string, { errno, kernelMessage, offset }: Acknowledgement) {
    const words = kernelMessage === undefined ? '' : `: ${kernelMessage}`;
    super(`${op}: ${errnoMessage(errno)}${words}`);
    this.op = op;
    this.code = errnoName(errno);
    this.kernelMessage = kernelMessage;
    this.offset = offset;
  }
}

/** Whether an error is the kernel's refusal with one of these errno names. */
export function isNetlinkError(error: unknown, ...codes: string[]): error is NetlinkError {
  return error instanceof NetlinkError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * Expects the kernel's refusals with one of these errno names, without names any: for recover().
 */
export const netlinkError =
  (...codes: string[]): Expected<NetlinkError> =>
  (error): error is NetlinkError =>
    isNetlinkError(error, ...codes);

/**
 * Asks for, or deletes, an interface or another object that may be gone by now: then the answer is
 * undefined. Another call may always be quicker, such as a second DEL of the same pod. `codes` are
 * the errno names that mean absence. @throws NetlinkError
 */
export const absentAsUndefined = <T>(
  body: () => T,
  codes: readonly string[] = ['ENODEV', 'ENOENT'],
): T | undefined => recover(body, netlinkError(...codes));

/** A request. `op` names it in errors, in iproute2's words: "add link veth0". */
export interface Request {
  readonly op: string;
  readonly type: number;
  readonly flags?: number;
  readonly body: Uint8Array;
}

/** The messages before the first and after the last request of a batch. */
interface BatchLimits {
  readonly begin: Request;
  readonly end: Request;
}

/** Carries datagrams: the kernel's socket, or in tests a function that answers. */
export interface Transport extends Disposable {
  send(bytes: Uint8Array): void;
  /** The next datagram. @throws SysError EAGAIN when none comes in time */
  receive(): Uint8Array;
}

/** linux/netlink.h */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** Room for a transaction of some thousand rules, and for what the kernel says of them. */
const BUFFER_BYTES = 8 * 1024 * 1024;

/**
 * How long the kernel may take for an answer: on a node in trouble it waits for its own locks for
 * seconds.
 */
const ANSWER_LIMIT_MS = 20_000;

/**
 * How long a whole answer may take, however many datagrams it comes in: lists of a million entries
 * take a second.
 */
const CONVERSATION_LIMIT_MS = 60_000;

/**
 * The buffer for one datagram after the other: larger than the kernel makes them. It is not zeroed,
 * so that unused pages take no memory.
 */
const DATAGRAM_BYTES = 256 * 1024;
let datagram: Buffer | undefined;

/** How often a dump is repeated if a concurrent change made it inconsistent. */
const DUMP_LIMIT = 20;

/** asm-generic/errno-base.h: reported for a dump that is inconsistent each time. */
const EINTR = 4;

/**
 * Opens a conversation in a namespace, by default the program's own; it stays there.
 * @throws SysError
 */
export function openNetlink(protocol: number, netns?: Netns): Netlink {
  const open = () => openTransport(protocol);
  return new Netlink(netns === undefined ? open() : within(netns, open));
}

/** A socket to the kernel's protocol in the namespace that the thread is in. @throws SysError */
function openTransport(protocol: number): Transport {
  using undo = new DisposableStack();
  const socket = undo.use(new Socket(AF_NETLINK, SOCK_RAW, protocol));
  socket.setReceiveTimeout(ANSWER_LIMIT_MS);
  setIfKnown(socket, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES);
  setIfKnown(socket, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
  setIfKnown(socket, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  setIfKnown(socket, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  setIfKnown(socket, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  const open = undo.move();
  const buffer = (datagram ??= Buffer.allocUnsafeSlow(DATAGRAM_BYTES));
  return {
    send: (bytes) => socket.send(bytes),
    receive() {
      const length = socket.receive(buffer);
      if (length > buffer.length) throw new MalformedMessage(`Datagram of ${length} bytes`);
      return Buffer.from(buffer.subarray(0, length));
    },
    [Symbol.dispose]: () => open.dispose(),
  };
}

/**
 * Sets an option that we can do without: older kernels refuse it, and all refuse larger buffers in
 * a user namespace.
 */
function setIfKnown(socket: Socket, level: number, option: number, value: number): void {
  recover(() => socket.setOption(level, option, value), sysError('ENOPROTOOPT', 'EPERM'));
}

/** The request whose answer is waited for, and until when. */
interface Wait {
  readonly op: string;
  readonly deadline: number;
}

/** A conversation with the kernel; `using` ends it. */
export class Netlink implements Disposable {
  readonly #transport: Transport;
  readonly #limitMs: number;
  #sequence = 0;

  /** `limitMs`: how long the answer to a request, list or batch may take as a whole. */
  constructor(transport: Transport, limitMs: number = CONVERSATION_LIMIT_MS) {
    this.#transport = transport;
    this.#limitMs = limitMs;
  }

  /**
   * Sends a request and waits for its acknowledgement. @returns the messages before that.
   * @throws NetlinkError; SysError at the limit
   */
  request(request: Request): Message[] {
    const wait = this.#begin(request.op);
    const sequence = this.#send(request, NLM_F.ACK);
    return this.#collect(wait, sequence);
  }

  /**
   * Asks for a list, again if a change disturbs it. @throws NetlinkError, EINTR if each one was
   * disturbed
   */
  dump(request: Request): Message[] {
    const wait = this.#begin(request.op);
    for (let tries = 0; tries < DUMP_LIMIT; tries += 1) {
      const sequence = this.#send(request, NLM_F.DUMP);
      const messages = this.#collect(wait, sequence);
      if (messages.every(({ flags }) => (flags & NLM_F.DUMP_INTR) === 0)) return messages;
    }
    const kernelMessage = `the list changed ${DUMP_LIMIT} times while it was read`;
    throw new NetlinkError(request.op, { errno: EINTR, kernelMessage, offset: undefined });
  }

  /**
   * Sends several requests in one datagram between a begin and an end message. The kernel carries
   * out all of them or none (nfnetlink batches). Answers come in the order of the requests: each
   * refused request has one, and the last request asks for one in any case. @throws NetlinkError
   * for the first refused
   */
  batch({ begin, end }: BatchLimits, requests: readonly Request[]): void {
    if (requests.length === 0) return;
    const wait = this.#begin(`${begin.op} with ${requests.length} requests`);
    const first = this.#sequence + 1;
    const last = first + requests.length;
    const parts = [begin, ...requests, end].map((request, index) =>
      this.#encode(request, index === requests.length ? NLM_F.ACK : 0),
    );
    this.#transport.send(Buffer.concat(parts));
    const asked = [begin, ...requests];
    let failure: NetlinkError | undefined;
    for (let isAnswered = false; !isAnswered;) {
      for (const message of this.#receive(wait)) {
        const { op } = asked[message.sequence - first] ?? {};
        if (message.type !== NLMSG_ERROR || op === undefined) continue;
        const acknowledgement = decodeAcknowledgement(message);
        if (acknowledgement.errno !== 0) failure ??= new NetlinkError(op, acknowledgement);
        // If the begin is refused, the whole batch is: no other answer need come.
        if (message.sequence === first) throw failure ?? new MalformedMessage(`Answer to ${op}`);
        isAnswered ||= message.sequence === last;
      }
    }
    if (failure !== undefined) throw failure;
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }

  #encode(request: Request, flags: number): Uint8Array {
    this.#sequence += 1;
    return encodeMessage({
      type: request.type,
      flags: NLM_F.REQUEST | flags | (request.flags ?? 0),
      sequence: this.#sequence,
      body: request.body,
    });
  }

  #send(request: Request, flags: number): number {
    this.#transport.send(this.#encode(request, flags));
    return this.#sequence;
  }

  /**
   * The messages of this conversation until its acknowledgement, or the end of its list.
   * @throws NetlinkError
   */
  #collect(wait: Wait, sequence: number): Message[] {
    const messages: Message[] = [];
    for (const message of this.#messagesOf(wait, sequence)) {
      if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
        messages.push(message);
        continue;
      }
      const acknowledgement = decodeAcknowledgement(message);
      if (acknowledgement.errno !== 0) throw new NetlinkError(wait.op, acknowledgement);
      // The end of a list may be the message that tells of a disturbance.
      return (message.flags & NLM_F.DUMP_INTR) === 0 ? messages : [...messages, message];
    }
    return messages;
  }

  *#messagesOf(wait: Wait, sequence: number): Generator<Message> {
    for (;;) yield* this.#receive(wait).filter((message) => message.sequence === sequence);
  }

  #begin(op: string): Wait {
    return { op, deadline: now() + this.#limitMs };
  }

  /** @throws SysError at the limit: the answer never ends, or only messages for others come */
  #receive({ op, deadline }: Wait): Message[] {
    if (now() >= deadline) {
      const reason = `the answer to "${op}" did not end within ${this.#limitMs / 1000} seconds`;
      throw new SysError('recv', 'ETIMEDOUT', { reason });
    }
    return decodeMessages(this.#transport.receive());
  }
}
