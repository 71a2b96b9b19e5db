/** Letting the host pass packets on between its interfaces. */
import type { Family } from '#lib/addr/address.ts';
import { step } from '#lib/cni/error.ts';
import { type Findings, limited } from '#lib/cni/finding.ts';
import { readSysctl, writeSysctl } from '#lib/sys/sysctl.ts';

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

/** STATUS: packets of these families are forwarded. */
export function* checkForwarding(families: readonly Family[]): Findings {
  for (const family of new Set(families)) {
    const name = FORWARDING[family];
    const value = readSysctl(name);
    if (value === '1') continue;
    yield limited(
      `The host forwards no IPv${family} packets: ${name.replaceAll('/', '.')} is ${value ?? 'not there'}, not 1`,
      'pods reach nothing but their neighbours. Set it to 1, and look for what switched it off: sysctl.d, a firewall, a hardening script',
    );
  }
}
