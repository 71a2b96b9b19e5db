/** subnet.env, which the node's flannel daemon writes: the cluster's networks, this node's subnets, MTU, who masquerades. */
import type { Family } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE, toCniError } from '#lib/cni/error.ts';
import { poll } from '#lib/sys/clock.ts';
import { readText, readTextIfAny, statIfAny, dirname } from '#lib/sys/file.ts';

/** What the file says. Prefixes are masked; IPv4 comes first. */
export interface SubnetEnv {
  readonly networks: readonly Prefix[];
  readonly subnets: readonly Prefix[];
  readonly mtuBytes: number;
  /** Whether flanneld masquerades; if not, the delegate has to. */
  readonly ipMasq: boolean;
}

/** A daemon that is starting needs a moment; kubelet tries again anyway. */
const WAIT_LIMIT_MS = 3_000;
const WAIT_POLL_MS = 50;

/** What IPv4 asks of a link, and its longest packet. */
const MTU_MIN = 68;
const MTU_MAX = 65_535;

/** The keys, each with what it is missed as if it is not there. */
const KEYS = [
  'FLANNEL_NETWORK',
  'FLANNEL_SUBNET',
  'FLANNEL_IPV6_NETWORK',
  'FLANNEL_IPV6_SUBNET',
  'FLANNEL_MTU',
  'FLANNEL_IPMASQ',
] as const;
type Key = (typeof KEYS)[number];

/** Reads the file, for which it waits a moment if it is not there. @throws CniError TRY_AGAIN_LATER */
export function awaitSubnetEnv(path: string): SubnetEnv {
  poll(() => statIfAny(path), { everyMs: WAIT_POLL_MS, limitMs: WAIT_LIMIT_MS });
  return loadSubnetEnv(path);
}

/** Reads the file as it is now. @throws CniError TRY_AGAIN_LATER that tells what is wrong */
export function loadSubnetEnv(path: string): SubnetEnv {
  try {
    return parseSubnetEnv(readText(path), path);
  } catch (error) {
    const { message, details } = toCniError(error);
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `failed to load flannel 'subnet.env' file: ${message}. Check the flannel pod log for this node.`,
      details || adviceFor(path),
      { cause: error },
    );
  }
}

/** The same for those who do without if they must. */
export function loadSubnetEnvIfAny(path: string): SubnetEnv | undefined {
  try {
    const text = readTextIfAny(path);
    return text === undefined ? undefined : parseSubnetEnv(text, path);
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function adviceFor(path: string): string {
  if (statIfAny(dirname(path)) === undefined) {
    return `the folder "${dirname(path)}" does not exist: flanneld has not run since this node booted (journalctl -u flanneld), or "subnetFile" is wrong`;
  }
  if (statIfAny(path) === undefined) {
    return `flanneld has not got a subnet for this node yet: does the node have a podCIDR, does flanneld reach its store?`;
  }
  return '';
}

/** Reads the text; blanks, quotes, CR and `export` around keys and values are accepted. @throws CniError with line and value */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<Key, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const [, key = '', equals, value = ''] =
      /^\s*(?:export\s+)?([A-Z0-9_]+)\s*(=?)(.*)$/s.exec(line) ?? [];
    if (!isKey(key)) continue;
    if (equals === '') throw invalid(`"${path}" line ${index + 1}: "${line.trim()}" has no "="`);
    values.set(key, unquote(value.trim()));
  }
  refuseMissing(values, text, path);
  const prefixes = (key: Key, family: Family) =>
    parsePrefixes(values.get(key), family, `"${path}": ${key}`);
  const subnets = [prefixes('FLANNEL_SUBNET', 4), prefixes('FLANNEL_IPV6_SUBNET', 6)];
  if (subnets.some((list) => list.length > 1))
    throw invalid(`"${path}": FLANNEL_SUBNET must be one subnet a family`);
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

/** In the reference's words: either family will do, and a missing one is named by both keys. */
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
  throw invalid(`${path} is missing ${missing.join(', ')}`, advice);
}

/** Nobody routes to a subnet that is not the cluster's. */
function refuseOutside(subnet: Prefix, networks: readonly Prefix[], path: string): void {
  const own = networks.filter(({ family }) => family === subnet.family);
  if (own.length === 0 || own.some((network) => network.contains(subnet.first))) return;
  throw invalid(`"${path}": the subnet ${subnet} is not part of the network ${own.join(', ')}`);
}

function parsePrefixes(value: string | undefined, family: Family, where: string): Prefix[] {
  const texts = value ? value.split(',').map((text) => text.trim()) : [];
  const prefixes = texts.map((text) => {
    const prefix = parsePrefix(text, where);
    if (prefix.family !== family)
      throw invalid(`${where}: "${text}" is not an IPv${family} network`);
    return prefix.masked();
  });
  return prefixes.filter(
    (one, index) => prefixes.findIndex((other) => other.equals(one)) === index,
  );
}

function parsePrefix(text: string, where: string): Prefix {
  try {
    return Prefix.parse(text);
  } catch (error) {
    throw invalid(`${where}: ${toCniError(error).message}`);
  }
}

function parseMtu(text: string, path: string): number {
  const mtu = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (mtu < MTU_MIN || mtu > MTU_MAX) {
    throw invalid(
      `"${path}": FLANNEL_MTU must be a number from ${MTU_MIN} to ${MTU_MAX}, not "${text}"`,
    );
  }
  return mtu;
}

function parseBoolean(text: string, path: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid(`"${path}": FLANNEL_IPMASQ must be "true" or "false", not "${text}"`);
}

const invalid = (message: string, details = ''): CniError =>
  new CniError(CODE.TRY_AGAIN_LATER, message, details);
