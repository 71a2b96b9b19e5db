/**
 * Rules of the reference plugin's nftables backend (1.6 and later): their comment is the
 * container's ID.
 */
import { type Address, FAMILIES, type Family } from '#lib/addr/address.ts';
import type { ListedRule } from '#lib/net/nft-listing.ts';
import { nft, type Table } from '#lib/net/nft-message.ts';
import type { Nftables } from '#lib/net/nftables.ts';

const TABLES = {
  4: { family: 'ip', name: 'cni_hostport' },
  6: { family: 'ip6', name: 'cni_hostport' },
} as const satisfies Record<Family, Table>;
const CHAINS = ['hostports', 'hostip_hostports', 'masquerading'];

/**
 * Deletes the rules of a container; absence is accepted. The rules do not name the network: with
 * `pods` only those for these addresses are deleted. @returns whether there were any.
 * @throws NetlinkError
 */
export function deleteReferenceRules(
  nftables: Nftables,
  containerID: string,
  pods: readonly Address[],
): boolean {
  const isOwn = ({ comment, values }: ListedRule): boolean =>
    comment === containerID &&
    (pods.length === 0 ||
      values.some((value) => pods.some((pod) => Buffer.compare(pod.toBytes(), value) === 0)));
  const places = FAMILIES.flatMap((family) =>
    CHAINS.map((chain) => ({ table: TABLES[family], chain })),
  );
  const unwanted = places.flatMap(({ table, chain }) =>
    nftables
      .listRules(table, chain)
      .filter(isOwn)
      .map(({ handle }) => nft.deleteRules(table, chain, handle)),
  );
  for (const request of unwanted) nftables.delete([request]);
  return unwanted.length > 0;
}
