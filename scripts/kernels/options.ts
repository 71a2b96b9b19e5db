/** The command line of `npm run test:kernels`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ScriptFailure } from '#scripts/world/failure.ts';
import { KERNEL_VERSIONS, type KernelVersion } from './debian-kernel.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** With IPv6, or booted without. */
type Ipv6 = 'on' | 'off';

export interface Options {
  readonly versions: readonly KernelVersion[];
  readonly ipv6: readonly Ipv6[];
  /** Files of tests, relative to the project's root; none: all that there are for a boot. */
  readonly only: readonly string[];
}

/** Reads it. @throws ScriptFailure that says what is wrong */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  // Behind --only there may be more than one file.
  const isFile = (text: string) => values.only !== undefined && text.endsWith('.ts');
  const only = [...(values.only ?? []), ...positionals.filter(isFile)];
  const missing = only.find((file) => !existsSync(join(ROOT, file)));
  if (missing !== undefined) throw new ScriptFailure(`there is no file "${missing}"`);
  const versions = positionals.filter((text) => !isFile(text)).map(parseVersion);
  const { ipv6 = only.length > 0 ? 'on' : undefined } = values;
  if (ipv6 !== undefined && ipv6 !== 'on' && ipv6 !== 'off')
    throw new ScriptFailure(`--ipv6 wants "on" or "off", not "${ipv6}"`);
  return {
    versions: versions.length > 0 ? versions : KERNEL_VERSIONS,
    ipv6: ipv6 === undefined ? ['on', 'off'] : [ipv6],
    only,
  };
}

function parse(args: readonly string[]) {
  const options = {
    ipv6: { type: 'string' },
    only: { type: 'string', multiple: true },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    throw new ScriptFailure(`${fault}; the options are --ipv6 and --only`);
  }
}

function parseVersion(text: string): KernelVersion {
  const version = KERNEL_VERSIONS.find((known) => known === text);
  if (version !== undefined) return version;
  throw new ScriptFailure(`there is no kernel "${text}": there are ${KERNEL_VERSIONS.join(', ')}`);
}
