/**
 * Port mappings by family: an address (or all), a protocol and a port of the host that lead to the
 * pod.
 */
import { type Address, FAMILIES, type Family } from '#lib/addr/address.ts';
import type { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
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

/**
 * The mappings to the pod's first address of each family, each once. A mapping of a host address is
 * of that address's family only. @throws CniError for a host port that is mapped to two ports
 */
export function forwards(
  mappings: readonly PortMapping[],
  result: Result,
  attachment: Attachment,
): Forward[] {
  const addresses = ownAddresses(result, attachment).map(({ address }) => address);
  const wanted = FAMILIES.flatMap((family) => {
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
  return unique(wanted);
}

function unique(wanted: readonly Forward[]): Forward[] {
  const known = new Map<string, Forward>();
  for (const forward of wanted) {
    const key = `${forward.family} ${describeHostPort(forward)}`;
    const other = known.get(key) ?? forward;
    if (other.containerPort !== forward.containerPort) {
      throw new CniError(
        CODE.INVALID_CONFIG,
        `Host port ${describeHostPort(forward)} is mapped twice`,
        `to container ports ${other.containerPort} and ${forward.containerPort}`,
      );
    }
    known.set(key, forward);
  }
  return [...known.values()];
}

/** "8080/tcp", or "10.0.0.1:8080/tcp": for people. */
export function describeHostPort({ hostAddress, hostPort, protocol }: Forward): string {
  const port = `${hostPort}/${protocol}`;
  if (hostAddress === undefined) return port;
  return hostAddress.family === 4 ? `${hostAddress}:${port}` : `[${hostAddress}]:${port}`;
}
