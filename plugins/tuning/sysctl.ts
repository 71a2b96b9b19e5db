/** Kernel parameters of the container's network namespace, by their keys in configurations. */
import { CniError, CODE, step } from '#lib/cni/error.ts';
import { shorten } from '#lib/cni/shorten.ts';
import { sysError } from '#lib/sys/error.ts';
import { type Netns, within } from '#lib/sys/netns.ts';
import { log } from '#lib/sys/process.ts';
import { recover } from '#lib/sys/recover.ts';
import { readSysctl, sameSysctlValue, writeSysctl } from '#lib/sys/sysctl.ts';

/** A parameter and the value that it is to have. */
export interface Sysctl {
  /** As the configuration has it. */
  readonly key: string;
  /** Its path below /proc/sys. */
  readonly name: string;
  readonly value: string;
}

/**
 * The path of a parameter below /proc/sys: dots are slashes, then the first IFNAME is the
 * interface, whose name may hold dots.
 * @throws CniError if it is not below /proc/sys/net
 */
export function sysctlName(key: string, ifName: string): string {
  const name = key
    .replaceAll('.', '/')
    .replace(/^\//, '')
    .replace('IFNAME', () => ifName);
  const parts = name.split('/');
  const isPath = parts.every((part) => !['', '.', '..'].includes(part) && !part.includes('\0'));
  if (isPath && parts.length > 1 && parts[0] === 'net') return name;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `invalid net sysctl key: ${JSON.stringify(key)}`,
    'a key is the path of a parameter below /proc/sys/net, such as "net.core.somaxconn"',
  );
}

/**
 * Sets parameters in a namespace; `undo` sets them back. @throws CniError that names key and value
 */
export function setSysctls(netns: Netns, sysctls: readonly Sysctl[], undo: DisposableStack): void {
  if (sysctls.length === 0) return;
  within(netns, () => {
    for (const sysctl of sysctls) setSysctl(netns, sysctl, undo);
  });
}

function setSysctl(netns: Netns, { key, name, value }: Sysctl, undo: DisposableStack): void {
  const shown = shownValue({ name, value });
  const former = step(`Cannot set sysctl "${key}" to "${shown}"`, () => writeSysctl(name, value));
  // A parameter that can only be written has no former value.
  if (former === undefined) return;
  undo.defer(() => {
    within(netns, () => void writeSysctl(name, former));
  });
  const current = readSysctl(name);
  if (current === undefined || sameSysctlValue(current, value)) return;
  const made = shownValue({ name, value: current });
  log(`tuning: sysctl "${key}" was set to "${shown}", and the kernel has made "${made}" of it`);
}

/**
 * A value in a sentence. Some are secrets: net.ipv6.conf.*.stable_secret,
 * net.ipv4.tcp_fastopen_key.
 */
export const shownValue = ({ name, value }: Pick<Sysctl, 'name' | 'value'>): string =>
  /(secret|key)$/.test(name) ? '(not shown)' : shorten(value);

/** A parameter that has another value than the wanted one. */
export interface Difference extends Sysctl {
  /** Undefined: there is no such parameter. */
  readonly current: string | undefined;
}

/**
 * The parameters in a namespace that have other values; those that can only be written are skipped.
 * @throws SysError
 */
export function differentSysctls(netns: Netns, sysctls: readonly Sysctl[]): Difference[] {
  return within(netns, () => sysctls.flatMap(differenceOf));
}

function differenceOf(sysctl: Sysctl): Difference[] {
  const read = () => ({ current: readSysctl(sysctl.name) });
  // The parameter can only be written.
  const known = recover(read, sysError('EACCES'));
  if (known === undefined) return [];
  const { current } = known;
  const isSame = current !== undefined && sameSysctlValue(current, sysctl.value);
  return isSame ? [] : [{ ...sysctl, current }];
}
