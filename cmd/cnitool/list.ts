/**
 * `cnitool list`: the networks of the folder, and what the result cache says is attached to them,
 * for a reader.
 */
import { isRecord } from '#lib/cni/schema.ts';
import { toCniError } from '#lib/cni/error.ts';
import { type CachedAttachment, type OtherCacheFile, readResult } from './cache.ts';
import type { Json } from './config.ts';
import type { BrokenFile, Network } from './network-list.ts';

/** The content of the list. */
export interface Inventory {
  readonly folder: string;
  readonly networks: readonly (Network | BrokenFile)[];
  readonly cached: readonly (CachedAttachment | OtherCacheFile)[];
}

const NONE = '-';

/** The listing: a table of networks, a table of attachments, the faults. Ends with a newline. */
export function formatInventory({ folder, networks, cached }: Inventory): string {
  const usable = networks.filter((entry) => 'plugins' in entry);
  const broken = networks.filter((entry) => 'fault' in entry);
  const sections = [
    usable.length === 0
      ? [`No networks in ${folder} (NETCONFPATH)`]
      : table([['NETWORK', 'CNIVERSION', 'PLUGINS', 'FILE'], ...usable.map(networkRow(usable))]),
    broken.map(({ file, fault }) => `${file} cannot be used: ${fault}`),
    attachmentTable(usable, cached),
    cached.flatMap((entry) =>
      'fault' in entry && entry.fault !== ''
        ? [`cache entry ${entry.file} cannot be used: ${entry.fault}`]
        : [],
    ),
  ];
  const texts = sections.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'));
  return `${texts.join('\n\n')}\n`;
}

/** The first file of a name wins. */
const networkRow = (networks: readonly Network[]) => (network: Network) => {
  const { name, cniVersion, plugins, file } = network;
  const first = networks.find((other) => other.name === name);
  const note = first === network ? '' : ` (hidden by ${first?.file})`;
  return [name, cniVersion, plugins.map(({ type }) => type).join(','), `${file}${note}`];
};

/** Attachments in the networks' order; then those whose network is not in the folder. */
function attachmentTable(
  networks: readonly Network[],
  cached: readonly (CachedAttachment | OtherCacheFile)[],
): string[] {
  const names = [...new Set(networks.map(({ name }) => name))];
  const rows = cached.flatMap((entry) => attachmentRow(names, entry) ?? []);
  if (rows.length === 0) return networks.length === 0 ? [] : ['No attachments in the cache'];
  const rank = ({ network }: Row) => (names.includes(network) ? names.indexOf(network) : Infinity);
  const sorted = rows.toSorted((a, b) => compare(rank(a), rank(b)));
  return table([
    ['NETWORK', 'CONTAINERID', 'IFNAME', 'NETNS', 'ADDRESSES'],
    ...sorted.map(({ network, cells }) => [
      names.includes(network) ? network : `${network} (no configuration)`,
      ...cells,
    ]),
  ]);
}

/** Infinity minus itself is no number. */
const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);

interface Row {
  readonly network: string;
  readonly cells: readonly string[];
}

function attachmentRow(
  networks: readonly string[],
  entry: CachedAttachment | OtherCacheFile,
): Row | undefined {
  if ('containerID' in entry) {
    const { network, containerID, ifName, netns, result } = entry;
    return { network, cells: [containerID, ifName, netns || NONE, addresses(result)] };
  }
  return entry.result === undefined ? undefined : legacyRow(networks, entry.file, entry.result);
}

/**
 * A bare result names its attachment in the file's name only: NETWORK-CONTAINERID-IFNAME, a "-" in
 * any of them.
 */
function legacyRow(networks: readonly string[], file: string, result: Json): Row {
  const network = networks
    .filter((name) => file.startsWith(`${name}-`))
    .reduce((longest, name) => (name.length > longest.length ? name : longest), '');
  const rest = network === '' ? file : file.slice(network.length + 1);
  const at = rest.lastIndexOf('-');
  const cells = [rest.slice(0, Math.max(at, 0)) || NONE, rest.slice(at + 1)];
  return { network: network || NONE, cells: [...cells, NONE, addresses(result)] };
}

function addresses(result: Json): string {
  if (!isRecord(result) || Object.keys(result).length === 0) return NONE;
  try {
    return (
      readResult(result)
        .ips.map(({ address }) => address.toString())
        .join(',') || NONE
    );
  } catch (error) {
    return `unreadable: ${toCniError(error).message}`;
  }
}

/** Columns as wide as their widest cell, two blanks between them. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
