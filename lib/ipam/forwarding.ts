/** Letting the host pass packets on between its interfaces. */
import type { Family } from '#lib/addr/address.ts';
import { step } from '#lib/cni/error.ts';
import { writeSysctl } from '#lib/sys/sysctl.ts';

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
