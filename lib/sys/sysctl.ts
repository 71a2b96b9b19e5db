/** Kernel parameters of the network namespace that the thread is in (/proc/sys). */
import { sysError } from './error.ts';
import { readTextIfAny, writeKernelFile } from './file.ts';
import { recover, succeeds } from './recover.ts';

/** A parameter by its path below /proc/sys, with slashes: interface names may hold dots. */
const path = (name: string) => `/proc/sys/${name}`;

/**
 * The value without its newline; undefined where this kernel has no such parameter.
 * @throws SysError
 */
export function readSysctl(name: string): string | undefined {
  return readTextIfAny(path(name))?.trimEnd();
}

/**
 * Whether two values are equal: the kernel puts tabs between the numbers of a list, people put
 * blanks.
 */
export const sameSysctlValue = (a: string, b: string): boolean => fields(a) === fields(b);

const fields = (value: string): string => value.trim().split(/\s+/).join(' ');

/**
 * Sets a parameter unless it has the value already: /proc/sys may be read-only. @returns the former
 * value; undefined for a parameter that can only be written. @throws SysError
 */
export function writeSysctl(name: string, value: string): string | undefined {
  // If it can't be read for another reason, writing it fails and tells the reason.
  const former = recover(() => readSysctl(name), sysError());
  if (former === undefined || !sameSysctlValue(former, value)) writeKernelFile(path(name), value);
  return former;
}

/**
 * Sets a parameter that we can do without: kernels without IPv6 lack it, nested containers have
 * /proc/sys read-only. @returns whether it has the value now
 */
export const trySysctl = (name: string, value: string): boolean =>
  succeeds(() => void writeSysctl(name, value), sysError());
