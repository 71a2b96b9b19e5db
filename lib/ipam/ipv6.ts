/** Nodes whose kernel has no IPv6, or was booted without: they can't have the addresses that an IPAM plugin may give. */
import type { ResultIp } from '#lib/cni/result.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { readSysctl } from '#lib/sys/sysctl.ts';

/** Refuses addresses of IPv6 on a kernel without it. @throws CniError IO_FAILURE that names the address */
export function requireIpv6(ips: readonly ResultIp[]): void {
  const first = ips.find(({ address }) => address.family === 6);
  if (first === undefined || readSysctl('net/ipv6/conf/all/disable_ipv6') !== undefined) return;
  throw new CniError(
    CODE.IO_FAILURE,
    `failed to enable IPv6: this kernel has no IPv6, and IPAM gave "${first.address}"`,
    'take the IPv6 range out of the network configuration, or boot without ipv6.disable=1',
  );
}
