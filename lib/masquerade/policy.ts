/**
 * Which traffic of a pod is masqueraded: all that leaves its subnet, but for multicast and what the
 * network exempts.
 */
import { Address, type Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';

/** A network's masquerading policy. */
export interface MasqueradePolicy {
  /** Destinations that see the pod's own address: the cluster's networks. */
  readonly nonMasqueradeCIDRs: readonly Prefix[];
}

/** Group addresses, 224.0.0.0/4 and ff00::/8: they can't be reached through a translated source. */
export const MULTICAST = {
  4: new Prefix(Address.of(4, 0xe0n << 24n), 4),
  6: new Prefix(Address.of(6, 0xffn << 120n), 8),
} as const satisfies Record<Family, Prefix>;

/**
 * The destinations, besides multicast, to which a pod with this address and subnet keeps its
 * address.
 */
export function exemptions(address: Prefix, { nonMasqueradeCIDRs }: MasqueradePolicy): Prefix[] {
  const others = nonMasqueradeCIDRs
    .filter(({ family }) => family === address.family)
    .map((prefix) => prefix.masked());
  const own = address.masked();
  return [own, ...others.filter((prefix) => !prefix.equals(own))];
}
