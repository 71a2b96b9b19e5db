/** Requirements of IPv6 on a node and its interfaces: the kernel refuses without saying them. */
import type { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { readSysctl } from '#lib/sys/sysctl.ts';

/** RFC 8200 §5 */
const MTU_MIN_BYTES = 1280;

const firstIpv6 = (addresses: readonly Prefix[]): Prefix | undefined =>
  addresses.find(({ family }) => family === 6);

/**
 * Refuses IPv6 addresses on a kernel without IPv6. @throws CniError IO_FAILURE that names the
 * address
 */
export function requireIpv6(addresses: readonly Prefix[]): void {
  const first = firstIpv6(addresses);
  if (first === undefined || readSysctl('net/ipv6/conf/all/disable_ipv6') !== undefined) return;
  throw new CniError(
    CODE.IO_FAILURE,
    `failed to enable IPv6: this kernel has no IPv6, and IPAM gave "${first}"`,
    'take the IPv6 range out of the network configuration, or boot without ipv6.disable=1',
  );
}

/**
 * Refuses IPv6 addresses for an interface with a small MTU, such as a tunnel's: the kernel would
 * say "invalid argument". `source` is what sets the MTU. @throws CniError INVALID_CONFIG that names
 * address, MTU and source
 */
export function requireIpv6Mtu(
  addresses: readonly Prefix[],
  mtuBytes: number | undefined,
  source: string,
): void {
  const first = firstIpv6(addresses);
  if (first === undefined || mtuBytes === undefined || mtuBytes >= MTU_MIN_BYTES) return;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `Cannot use IPv6 address "${first}": IPv6 needs an MTU of at least ${MTU_MIN_BYTES} bytes, and ${source} is ${mtuBytes}`,
    'make the MTU larger, or take the IPv6 range out of the network configuration',
  );
}
