/** Letting the host pass packets on between its interfaces. */
import type { Family } from '#lib/addr/address.ts';
import { step } from '#lib/cni/error.ts';
import { readSysctl, writeSysctl } from '#lib/sys/sysctl.ts';
import { limited } from './pod-ends.ts';

const FORWARDING = {
  4: 'net/ipv4/ip_forward',
  6: 'net/ipv6/conf/all/forwarding',
} as const satisfies Record<Family, string>;

/** Forwards packets of these families in the namespace that the thread is in. @throws CniError */
export function enableForwarding(families: readonly Family[]): void {
  for (const family of new Set(families)) {
    step('failed to enable forwarding', () => writeSysctl(FORWARDING[family], '1'));
  }
}

/** STATUS: packets of these families are forwarded. @throws CniError LIMITED_CONNECTIVITY, SysError */
export function requireForwarding(families: readonly Family[]): void {
  for (const family of new Set(families)) {
    const name = FORWARDING[family];
    const value = readSysctl(name);
    if (value === '1') continue;
    throw limited(
      `The host forwards no IPv${family} packets: ${name.replaceAll('/', '.')} is ${value ?? 'not there'}, not 1`,
      `pods reach nothing but their neighbours. Set it to 1, and look for what switched it off: sysctl.d, a firewall, a hardening script`,
    );
  }
}
