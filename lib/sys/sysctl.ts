/** Kernel parameters of the network namespace that the thread is in (/proc/sys). */
import { isSysError } from './error.ts';
import { readTextIfAny, writeKernelFile } from './file.ts';

/** A parameter by its path below /proc/sys, with slashes: interface names may hold dots. */
const path = (name: string) => `/proc/sys/${name}`;

/** The value without its newline; undefined where this kernel has no such parameter. @throws SysError */
export function readSysctl(name: string): string | undefined {
  return readTextIfAny(path(name))?.trimEnd();
}

/** Sets a parameter unless it has the value already: /proc/sys may be read-only and right. @throws SysError */
export function writeSysctl(name: string, value: string): void {
  if (readSysctl(name) !== value) writeKernelFile(path(name), value);
}

/**
 * The same for a parameter that we can do without: kernels without IPv6 lack it, nested containers have /proc/sys
 * read-only. @returns whether it has the value now
 */
export function trySysctl(name: string, value: string): boolean {
  try {
    writeSysctl(name, value);
    return true;
  } catch (error) {
    if (isSysError(error)) return false;
    throw error;
  }
}
