/** What must be true of every failure, whatever was asked: the specification's error, in words that are meant for people. */
import { MalformedMessage } from '#lib/net/attribute.ts';
import { AddressError } from '#lib/addr/address.ts';
import { CniError, CODE, toCniError } from '#lib/cni/error.ts';
import { SubnetEnvError } from '#lib/flannel/subnet-env.ts';
import { NetlinkError } from '#lib/net/netlink.ts';
import { NetfilterError } from '#lib/netfilter/error.ts';
import { SysError } from '#lib/sys/error.ts';
import { LockTimeout } from '#lib/sys/lock.ts';
import { NotANamespace } from '#lib/sys/netns.ts';
import { ChildError, InputTooLong } from '#lib/sys/process.ts';

/** Errors that somebody has thought of: what else is thrown is a fault of ours. */
const FORESEEN = [
  AddressError,
  ChildError,
  CniError,
  InputTooLong,
  LockTimeout,
  MalformedMessage,
  NetfilterError,
  NetlinkError,
  NotANamespace,
  SubnetEnvError,
  SysError,
];

/** What stands in a sentence only if a program wrote it that did not know what it was saying. */
const PROGRAMMERS_WORDS =
  /\n\s+at |\bundefined\b|\[object |Maximum call stack|\b(?:Type|Range|Syntax|Reference|Sys|Cni|Netlink|Zod|Aggregate|Suppressed)Error\b|MalformedMessage|ERR_[A-Z]|Cannot read propert|is not a function|is not iterable|node:|out of bounds|outside the bounds/;

/** Longer than any error need be. */
const LENGTH_LIMIT = 20_000;

const CODES: readonly unknown[] = Object.values(CODE);

/** @throws Error if a failure is not one that a caller may see */
export function requireForeseen(error: unknown): void {
  if (error instanceof AggregateError) for (const one of error.errors) requireForeseen(one);
  else if (error instanceof SuppressedError) {
    requireForeseen(error.error);
    requireForeseen(error.suppressed);
  } else if (!FORESEEN.some((kind) => error instanceof kind)) {
    throw new Error(`Nobody has foreseen this failure: ${String(error)}`, { cause: error });
  }
  requireErrorDocument(toCniError(error).toJson('1.0.0'));
}

/** @throws Error if a text is not exactly one error document of the specification, in clean words */
export function requireErrorDocument(text: string): void {
  const document = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const { code, msg, details = '', cniVersion, ...more } = document;
  if (!CODES.includes(code)) throw new Error(`Code ${String(code)} is none of the specification's`);
  if (typeof msg !== 'string' || msg.trim() === '') throw new Error(`There is no message: ${text}`);
  if (typeof details !== 'string' || typeof cniVersion !== 'string' || Object.keys(more).length > 0)
    throw new Error(`Not the keys of an error: ${text}`);
  requireCleanText(text);
}

/** @throws Error if a text has words in it that are no user's */
export function requireCleanText(text: string): void {
  const found = PROGRAMMERS_WORDS.exec(text);
  if (found !== null)
    throw new Error(`A programmer's words, "${found[0]}": ${text.slice(0, 2_000)}`);
  if (text.length > LENGTH_LIMIT) throw new Error(`An error of ${text.length} characters`);
}

/** Runs what may fail only as foreseen. @returns whether it succeeded. @throws Error if it failed in another way */
export function succeedsOrFailsCleanly(body: () => unknown): boolean {
  try {
    body();
    return true;
  } catch (error) {
    requireForeseen(error);
    return false;
  }
}
