/**
 * subnet.env, which the node's flannel daemon writes: the cluster's networks, this node's subnets,
 * MTU, who masquerades. Read and written.
 */
import { AddressError, type Family } from '#lib/addr/address.ts';
import { distinct } from '#lib/addr/distinct.ts';
import { Prefix } from '#lib/addr/prefix.ts';

/** The content of the file. Prefixes are masked; IPv4 comes first. */
export interface SubnetEnv {
  readonly networks: readonly Prefix[];
  readonly subnets: readonly Prefix[];
  readonly mtuBytes: number;
  /** Whether flanneld masquerades; if not, the delegate has to. */
  readonly ipMasq: boolean;
}

/**
 * A file that does not say what it must. The message names the file, the line or key, and the
 * value.
 */
export class SubnetEnvError extends Error {
  override name = 'SubnetEnvError';
  /** Advice, if there is any. */
  readonly advice: string;

  constructor(message: string, advice = '') {
    super(message);
    this.advice = advice;
  }
}

/** The least MTU for IPv4, and the length of its longest packet. */
const MTU_MIN = 68;
const MTU_MAX = 65_535;

/** The keys of the file. */
const KEYS = [
  'FLANNEL_NETWORK',
  'FLANNEL_SUBNET',
  'FLANNEL_IPV6_NETWORK',
  'FLANNEL_IPV6_SUBNET',
  'FLANNEL_MTU',
  'FLANNEL_IPMASQ',
] as const;
type Key = (typeof KEYS)[number];

/**
 * Reads the text; blanks, quotes, CR and `export` around keys and values are accepted.
 * @throws SubnetEnvError
 */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<Key, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const [, key = '', equals, value = ''] =
      /^\s*(?:export\s+)?([A-Z0-9_]+)\s*(=?)(.*)$/s.exec(line) ?? [];
    if (!isKey(key)) continue;
    if (equals === '')
      throw new SubnetEnvError(`"${path}" line ${index + 1}: "${line.trim()}" has no "="`);
    values.set(key, unquote(value.trim()));
  }
  refuseMissing(values, text, path);
  const prefixes = (key: Key, family: Family) =>
    parsePrefixes(values.get(key), family, `"${path}": ${key}`);
  const subnets = [prefixes('FLANNEL_SUBNET', 4), prefixes('FLANNEL_IPV6_SUBNET', 6)];
  if (subnets.some((list) => list.length > 1))
    throw new SubnetEnvError(`"${path}": FLANNEL_SUBNET must be one subnet a family`);
  const networks = [...prefixes('FLANNEL_NETWORK', 4), ...prefixes('FLANNEL_IPV6_NETWORK', 6)];
  for (const subnet of subnets.flat()) refuseOutside(subnet, networks, path);
  return {
    networks,
    subnets: subnets.flat(),
    mtuBytes: parseMtu(values.get('FLANNEL_MTU') ?? '', path),
    ipMasq: parseBoolean(values.get('FLANNEL_IPMASQ') ?? '', path),
  };
}

const isKey = (key: string): key is Key => (KEYS as readonly string[]).includes(key);

const unquote = (value: string): string => value.replace(/^(["'])(.*)\1$/s, '$2').trim();

/**
 * Refuses a file without a needed key, in the reference plugin's words: either family will do, and
 * a message names the keys of both.
 */
function refuseMissing(values: ReadonlyMap<Key, string>, text: string, path: string): void {
  const groups: readonly (readonly Key[])[] = [
    ['FLANNEL_NETWORK', 'FLANNEL_IPV6_NETWORK'],
    ['FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET'],
    ['FLANNEL_MTU'],
    ['FLANNEL_IPMASQ'],
  ];
  const missing = groups.filter((keys) => keys.every((key) => !values.get(key))).flat();
  if (missing.length === 0) return;
  const advice = text.includes('DOCKER_')
    ? 'this is what mk-docker-opts.sh writes: let it write to another file (-d)'
    : 'either family will do: the keys of IPv4 or those of IPv6';
  throw new SubnetEnvError(`${path} is missing ${missing.join(', ')}`, advice);
}

/** Refuses a subnet outside of the cluster's networks: nobody routes to it. */
function refuseOutside(subnet: Prefix, networks: readonly Prefix[], path: string): void {
  const own = networks.filter(({ family }) => family === subnet.family);
  if (own.length === 0 || own.some((network) => network.contains(subnet.first))) return;
  throw new SubnetEnvError(
    `"${path}": the subnet ${subnet} is not part of the network ${own.join(', ')}`,
  );
}

function parsePrefixes(value: string | undefined, family: Family, where: string): Prefix[] {
  const texts = value ? value.split(',').map((text) => text.trim()) : [];
  const prefixes = texts.map((text) => {
    const prefix = parsePrefix(text, where);
    if (prefix.family !== family)
      throw new SubnetEnvError(`${where}: "${text}" is not an IPv${family} network`);
    return prefix.masked();
  });
  return distinct(prefixes);
}

function parsePrefix(text: string, where: string): Prefix {
  try {
    return Prefix.parse(text);
  } catch (error) {
    if (error instanceof AddressError) throw new SubnetEnvError(`${where}: ${error.message}`);
    throw error;
  }
}

function parseMtu(text: string, path: string): number {
  const mtu = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (mtu < MTU_MIN || mtu > MTU_MAX) {
    throw new SubnetEnvError(
      `"${path}": FLANNEL_MTU must be a number from ${MTU_MIN} to ${MTU_MAX}, not "${text}"`,
    );
  }
  return mtu;
}

function parseBoolean(text: string, path: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new SubnetEnvError(`"${path}": FLANNEL_IPMASQ must be "true" or "false", not "${text}"`);
}

/** The keys of each family, in the order in which flanneld writes them. */
const FAMILY_KEYS = [
  { family: 4, network: 'FLANNEL_NETWORK', subnet: 'FLANNEL_SUBNET' },
  { family: 6, network: 'FLANNEL_IPV6_NETWORK', subnet: 'FLANNEL_IPV6_SUBNET' },
] as const;

/**
 * The text of the file, to the byte as flanneld writes it: a subnet stands with the address of its
 * gateway, the first after the network's.
 */
export function encodeSubnetEnv({ networks, subnets, mtuBytes, ipMasq }: SubnetEnv): string {
  const lines = FAMILY_KEYS.flatMap(({ family, network, subnet: key }) => {
    const own = networks.filter((prefix) => prefix.family === family);
    const subnet = subnets.find((prefix) => prefix.family === family);
    return [
      ...(own.length === 0 ? [] : [`${network}=${own.join(',')}`]),
      ...(subnet === undefined ? [] : [`${key}=${subnet.first.plus(1n)}/${subnet.bits}`]),
    ];
  });
  return [...lines, `FLANNEL_MTU=${mtuBytes}`, `FLANNEL_IPMASQ=${ipMasq}`, ''].join('\n');
}
