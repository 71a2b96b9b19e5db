/** The CNI_* environment variables: which a command needs, and what they may hold. */
import { IFNAME_BYTES } from '#lib/net/link.ts';
import type { Environment } from '#lib/sys/process.ts';
import { instanceOf, succeeds } from '#lib/sys/recover.ts';
import type { AttachmentKey } from './attachment.ts';
import { CniError, CODE } from './error.ts';
import { shorten } from './shorten.ts';

/** The commands of the specification. */
const COMMANDS = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'VERSION'] as const;

/** One of the commands. */
export type Command = (typeof COMMANDS)[number];

/** Container IDs and network names, as the specification spells them. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Whether a text can be a network's name or a container's ID. */
export const isName = (text: string): boolean => NAME.test(text) && !text.endsWith('\n');

/**
 * The variables in the order in which missing ones are named. CNI_PATH is asked for only where a
 * delegate is sought.
 */
const REQUIREMENTS: readonly {
  readonly variable: string;
  readonly commands: readonly string[];
  readonly validate?: (value: string) => void;
}[] = [
  { variable: 'CNI_COMMAND', commands: COMMANDS },
  { variable: 'CNI_CONTAINERID', commands: ['ADD', 'CHECK', 'DEL'], validate: validateContainerID },
  { variable: 'CNI_NETNS', commands: ['ADD', 'CHECK'] },
  { variable: 'CNI_IFNAME', commands: ['ADD', 'CHECK', 'DEL'], validate: validateIfName },
];

/** The call that the environment describes. */
export interface CallEnvironment extends AttachmentKey {
  /** Not yet known to be a command: bad input is reported first. */
  readonly command: string;
  readonly netns: string | undefined;
}

/** Reads and checks the variables that the command needs. @throws CniError INVALID_ENVIRONMENT */
export function parseEnvironment(env: Environment): CallEnvironment {
  const command = env['CNI_COMMAND'] ?? '';
  const missing: string[] = [];
  for (const { variable, commands, validate } of REQUIREMENTS) {
    const value = env[variable] ?? '';
    if (!commands.includes(command)) continue;
    if (value === '') missing.push(variable);
    else validate?.(value);
  }
  if (missing.length > 0) {
    throw invalid(`required env variables [${missing.join(',')}] missing`);
  }
  return {
    command,
    containerID: env['CNI_CONTAINERID'] ?? '',
    ifName: env['CNI_IFNAME'] ?? '',
    netns: env['CNI_NETNS'] || undefined,
  };
}

function validateContainerID(value: string): void {
  if (!isName(value))
    throw invalid('invalid characters in containerID', `CNI_CONTAINERID is "${shorten(value)}"`);
}

/** The kernel's rules for interface names (dev_valid_name). @throws CniError INVALID_ENVIRONMENT */
export function validateIfName(value: string): void {
  const details = `CNI_IFNAME is "${shorten(value)}"`;
  if (value === '') throw invalid('interface name is empty', details);
  if (Buffer.byteLength(value) > IFNAME_BYTES) {
    throw invalid(
      'interface name is too long',
      `interface name should be less than 16 characters; ${details}`,
    );
  }
  if (value === '.' || value === '..') throw invalid('interface name is . or ..', details);
  if (/[/:\s]/u.test(value)) {
    throw invalid('interface name contains / or : or whitespace characters', details);
  }
  // The kernel would end the name there.
  if (value.includes('\0')) throw invalid('interface name contains a zero byte', details);
}

/** Whether a text can be an interface's name. */
export const isIfName = (value: string): boolean =>
  succeeds(() => validateIfName(value), instanceOf(CniError));

const invalid = (message: string, details = ''): CniError =>
  new CniError(CODE.INVALID_ENVIRONMENT, message, details);
