/**
 * The attachment that a command is about, out of arguments and environment, as the reference
 * cnitool derives it.
 */
import type { AttachmentKey } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { validateIfName } from '#lib/cni/environment.ts';
import { shorten } from '#lib/cni/shorten.ts';
import { sha512 } from '#lib/sys/digest.ts';
import { resolve } from '#lib/sys/file.ts';
import type { Environment } from '#lib/sys/process.ts';
import { type Json, parseCapabilityArgs } from './config.ts';

/** A key and a value of CNI_ARGS. */
export type CniArg = readonly [key: string, value: string];

/** An attachment, and what the runtime says of it to the plugins. */
export interface RuntimeAttachment extends AttachmentKey {
  /** Path of the namespace; empty when it is not known any more. */
  readonly netns: string;
  readonly cniArgs: readonly CniArg[];
  /** By the name of the capability. */
  readonly capabilityArgs: Json;
}

const DEFAULT_IFNAME = 'eth0';

/**
 * The attachment of a namespace. `ifName` is the option, if given. @throws CniError
 * INVALID_ENVIRONMENT
 */
export function describeAttachment(
  netnsPath: string,
  ifName: string | undefined,
  env: Environment,
): RuntimeAttachment {
  const capabilityArgs = parseCapabilityArgs(env['CAP_ARGS'] ?? '');
  const cniArgs = parseCniArgs(env['CNI_ARGS'] ?? '');
  const name = ifName || env['CNI_IFNAME'] || DEFAULT_IFNAME;
  validateIfName(name);
  const netns = resolve(netnsPath);
  return { containerID: containerID(netns), ifName: name, netns, cniArgs, capabilityArgs };
}

/**
 * "cnitool-" and the first ten bytes of the path's SHA-512: the same path is the same container, to
 * the reference too.
 */
export const containerID = (absolutePath: string): string =>
  `cnitool-${sha512(absolutePath).slice(0, 20)}`;

/** Reads K=V;K=V; neither may be empty. @throws CniError INVALID_ENVIRONMENT */
export function parseCniArgs(text: string): CniArg[] {
  if (text === '') return [];
  return text.split(';').map((pair) => {
    const [key = '', value = '', ...more] = pair.split('=');
    if (key === '' || value === '' || more.length > 0) {
      // The value is nobody's business but the plugin's.
      const shown = pair.includes('=') ? `${shorten(key)}=…` : shorten(pair);
      const message = `invalid CNI_ARGS pair "${shown}"`;
      throw new CniError(CODE.INVALID_ENVIRONMENT, message, 'K=V;K=V is wanted');
    }
    return [key, value];
  });
}
