/** All that a plugin may leave on a node, as lines: what its host and one pod have of links, addresses, rules and files. */
import type { TestNode } from '#test/node.ts';

/** The state of a node's host and of a pod. */
export type Snapshot = ReadonlySet<string>;

/** What each line is of, and the shell command that prints it. */
const HOST = {
  link: 'ip -o link',
  address: 'ip -o addr',
  route: 'ip route show table all; ip -6 route show table all',
  neighbour: 'ip neigh',
  qdisc: 'tc qdisc; for i in /sys/class/net/*; do tc filter show dev ${i##*/} ingress; done',
  nftables: 'nft list ruleset',
  // To look at a table of legacy iptables makes it.
  legacy:
    '! grep -q . /proc/net/ip_tables_names || iptables-legacy-save; ! grep -q . /proc/net/ip6_tables_names || ip6tables-legacy-save',
  sysctl:
    'cd /proc/sys/net; grep . ipv4/ip_forward ipv6/conf/all/forwarding ipv4/conf/*/route_localnet',
} as const;

const POD = {
  link: 'ip -o link',
  address: 'ip -o addr',
  route: 'ip route show table all; ip -6 route show table all',
  sysctl: 'cd /proc/sys/net; grep . ipv4/conf/*/arp_ignore core/somaxconn',
} as const;

/** What the kernel does of its own accord, and when it likes. */
const NOISE = [
  /\bfe80::|\bff00::|\b169\.254\./,
  /^host route .*(local|broadcast|multicast|anycast) /,
  /^(host|pod) (link|address) .*\blo\b.*<LOOPBACK>/,
  /chain (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) \{$/,
];

/** Numbers that differ from one time to the next: indices, handles, timers. */
const plain = (line: string): string =>
  line
    .replace(/^\d+: /, '')
    .replace(/@if\d+/, '@peer')
    .replace(/counter packets \d+ bytes \d+/, 'counter')
    // A bridge's follows from its ports.
    .replace(/^((br0|cni0): .*) mtu \d+/, '$1')
    // Carrier comes and goes a moment after what caused it.
    .replace(/NO-CARRIER,|,LOWER_UP| state (UP|DOWN|UNKNOWN)/g, '')
    .replace(/ link-netns(id)? \S+/, '')
    .replace(/(valid_lft|preferred_lft) \S+/g, '')
    .replace(/ (REACHABLE|STALE|DELAY|PROBE)\s*$/, '')
    .replace(/\s+/g, ' ')
    .trim();

/** Reads the state; files are those of the folders, by name, mode and size. */
export async function takeSnapshot(
  node: TestNode,
  pod: string,
  folders: readonly string[],
): Promise<Snapshot> {
  const files = folders
    .map((folder) => `find ${folder} \\( -type f -o -type l \\) -printf '%p %m %s\\n'`)
    .join('; ');
  const [host, container] = await Promise.all([
    node.run('sh', ['-c', script('host', { ...HOST, file: files })]),
    node.run('sh', ['-c', script('pod', POD)], pod),
  ]);
  return new Set([...lines(host), ...lines(container)]);
}

const script = (place: string, commands: Readonly<Record<string, string>>): string =>
  Object.entries(commands)
    .map(([what, command]) => `echo "@ ${place} ${what}"; (${command}) 2>/dev/null; true`)
    .join('\n');

function* lines(output: string): Generator<string> {
  let title = '';
  let section = '';
  for (const line of output.split('\n')) {
    if (line.startsWith('@ ')) {
      title = line.slice(2);
      section = '';
      continue;
    }
    // Lines of nft and iptables-save tell nothing without the table and chain that they are in.
    if (/^(table|\*)/.test(line)) section = `${plain(line)} `;
    if (/^(COMMIT|#)/.test(line) || /^[\s}]*$/.test(line)) continue;
    const text = `${title} ${section}${plain(line)}`;
    if (!NOISE.some((pattern) => pattern.test(text))) yield text;
  }
}

/** The lines of one that none of the others has. */
export const minus = (one: Snapshot, ...others: readonly Snapshot[]): string[] =>
  [...one].filter((line) => !others.some((other) => other.has(line)));
