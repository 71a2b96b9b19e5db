/** What port mappings come to: one address, protocol and port of the host, or of all its addresses, that leads to the pod. */
import type { Address, Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { ownAddresses } from '#lib/cni/prev-result.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import type { Result } from '#lib/cni/result.ts';
import type { PortMapping, Protocol } from './config.ts';

/** One mapping in one family. */
export interface Forward {
  readonly family: Family;
  /** Undefined: every address of the host. */
  readonly hostAddress: Address | undefined;
  readonly protocol: Protocol;
  readonly hostPort: number;
  /** The pod's address, with the length of its subnet. */
  readonly pod: Prefix;
  readonly containerPort: number;
}

/** IP families, in the order in which they are worked through. */
export const FAMILIES: readonly Family[] = [4, 6];

/** Mappings for the pod's first address of each family; those for a host address of the other family are none of this one's. */
export function forwards(
  mappings: readonly PortMapping[],
  result: Result,
  attachment: Attachment,
): Forward[] {
  const addresses = ownAddresses(result, attachment).map(({ address }) => address);
  return FAMILIES.flatMap((family) => {
    const pod = addresses.find((address) => address.family === family);
    if (pod === undefined) return [];
    return mappings
      .filter(({ hostIP }) => hostIP === undefined || hostIP.family === family)
      .map(({ hostIP, protocol, hostPort, containerPort }) => ({
        family,
        hostAddress: hostIP?.value === 0n ? undefined : hostIP,
        protocol,
        hostPort,
        pod,
        containerPort,
      }));
  });
}

/** "8080/tcp", or "10.0.0.1:8080/tcp": for people. */
export function describeHostPort({ hostAddress, hostPort, protocol }: Forward): string {
  const port = `${hostPort}/${protocol}`;
  if (hostAddress === undefined) return port;
  return hostAddress.family === 4 ? `${hostAddress}:${port}` : `[${hostAddress}]:${port}`;
}
