/**
 * Errors as the CNI specification wants them: a code, a message, details. Every failure becomes one
 * here.
 */
import { AddressError } from '#lib/addr/address.ts';
import { MalformedMessage } from '#lib/net/attribute.ts';
import { NetlinkError } from '#lib/net/netlink.ts';
import { NetfilterError } from '#lib/netfilter/error.ts';
import { SysError } from '#lib/sys/error.ts';
import { LockTimeout } from '#lib/sys/lock.ts';
import { NotANamespace } from '#lib/sys/netns.ts';
import { ChildError, InputTooLong } from '#lib/sys/process.ts';
import { shorten } from './shorten.ts';

/** CNI SPEC "Error"; INVALID_NETNS is the reference library's. */
export const CODE = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODING_FAILURE: 6,
  INVALID_CONFIG: 7,
  INVALID_NETNS: 8,
  TRY_AGAIN_LATER: 11,
  PLUGIN_NOT_AVAILABLE: 50,
  LIMITED_CONNECTIVITY: 51,
  INTERNAL: 999,
} as const;

/**
 * The longest message and details: runtimes write errors into their logs again and again, and the
 * logs must stay readable.
 */
const MESSAGE_LIMIT = 2000;
const DETAILS_LIMIT = 4000;

/**
 * A failure with its code of the specification. `details` is for the reader who wants to know more.
 * Both are cut if they are very long.
 */
export class CniError extends Error {
  override name = 'CniError';
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '', options?: ErrorOptions) {
    super(shorten(message, MESSAGE_LIMIT), options);
    this.code = code;
    this.details = shorten(details, DETAILS_LIMIT);
  }

  /** The JSON document for standard output: four spaces, no newline at the end. */
  toJson(cniVersion: string): string {
    const details = this.details === '' ? {} : { details: this.details };
    return JSON.stringify({ cniVersion, code: this.code, msg: this.message, ...details }, null, 4);
  }
}

/**
 * An error whose message begins with the step that failed: `failed to create bridge "cni0": …`. It
 * keeps the code.
 */
export function prefixed(message: string, error: unknown): CniError {
  const { code, details, message: reason } = toCniError(error);
  return new CniError(code, `${message}: ${reason}`, details, { cause: error });
}

/** Runs a step. If it fails, `message` begins the error's message. @throws CniError */
export function step<T>(message: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw prefixed(message, error);
  }
}

/** The code and words of the specification for any error that was thrown. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  // An undo failed too: report the original failure, and mention the undo's.
  if (error instanceof SuppressedError) {
    const original = toCniError(error.suppressed);
    const undo = `while undoing: ${toCniError(error.error).message}`;
    return new CniError(original.code, original.message, join('; ', original.details, undo));
  }
  if (error instanceof AggregateError) return combine(error.errors.map(toCniError));
  if (error instanceof NetfilterError) return fromNetfilter(error);
  if (!(error instanceof Error)) return new CniError(CODE.INTERNAL, String(error));
  const details = causes(error) || adviceFor(error);
  return new CniError(codeOf(error), error.message, details, { cause: error });
}

function fromNetfilter(error: NetfilterError): CniError {
  const code = error.code === 'timeout' ? CODE.TRY_AGAIN_LATER : CODE.IO_FAILURE;
  return new CniError(code, error.message, error.details, { cause: error });
}

function codeOf(error: Error): number {
  if (error instanceof LockTimeout) return CODE.TRY_AGAIN_LATER;
  if (error instanceof NotANamespace) return CODE.INVALID_NETNS;
  if (error instanceof AddressError) return CODE.INVALID_CONFIG;
  const failedCalls = [SysError, NetlinkError, MalformedMessage, InputTooLong];
  if (failedCalls.some((kind) => error instanceof kind)) return CODE.IO_FAILURE;
  if (error instanceof ChildError && error.code === 'timeout') return CODE.TRY_AGAIN_LATER;
  return CODE.INTERNAL;
}

/**
 * Advice for errnos that a configuration or the node's set-up can cause, if the kernel gives no
 * words of its own.
 */
const ADVICE: Readonly<Record<string, string>> = {
  EPERM:
    'a plugin needs root in the namespaces of node and pod (CAP_NET_ADMIN, CAP_SYS_ADMIN): is the runtime rootless, or confined?',
  EOPNOTSUPP:
    'this kernel cannot do what was asked for: a module is missing or could not be loaded, or the kernel is too old',
  EROFS: 'the file system is read-only here, as /proc/sys is in most containers',
};

function adviceFor(error: Error): string {
  const hasWords = error instanceof NetlinkError && error.kernelMessage !== undefined;
  if (hasWords || !(error instanceof NetlinkError || error instanceof SysError)) return '';
  return ADVICE[error.code] ?? '';
}

/** Several steps failed: the first one's code, all of their words. */
function combine(errors: CniError[]): CniError {
  const [first = new CniError(CODE.INTERNAL, 'Nothing failed')] = errors;
  const messages = join('; ', ...errors.map(({ message }) => message));
  return new CniError(first.code, messages, join('; ', ...errors.map(({ details }) => details)));
}

const join = (separator: string, ...texts: string[]): string =>
  texts.filter((text) => text !== '').join(separator);

/** The causes of an error, joined. */
function causes({ cause }: Error): string {
  if (!(cause instanceof Error)) return '';
  return join(': ', cause.message, causes(cause));
}

/** Runs a step. @returns what it returns; undefined if it fails */
export type RunStep = <T>(body: () => T) => T | undefined;

/**
 * Runs a body, and of the steps in it every one, whatever becomes of the others.
 * @throws AggregateError of all failures
 */
export function everyStep(body: (run: RunStep) => void): void {
  const errors: unknown[] = [];
  const run: RunStep = (one) => {
    try {
      return one();
    } catch (error) {
      errors.push(error);
      return undefined;
    }
  };
  run(() => body(run));
  if (errors.length > 0) throw new AggregateError(errors);
}

/** Runs every step, whatever becomes of the others. @throws AggregateError of all failures */
export function cleanUp(...steps: (() => void)[]): void {
  everyStep((run) => {
    for (const body of steps) run(body);
  });
}
