/** The keys that firewall reads, and the admission that it keeps from ADD to DEL. */
import * as z from 'zod/mini';
import { object, optional, prefix, textAs, textIfAny, tolerant } from '#lib/cni/schema.ts';

/** The firewall that lets the pods' traffic through. */
export type Backend = 'iptables' | 'firewalld';

/** The policies that keep traffic away from pods. */
export type IsolatingPolicy = 'same-bridge' | 'isolated';

/**
 * iptables takes names of 28 characters. Blanks, quotes and the like would change the meaning of a
 * line.
 */
const CHAIN_NAME = /^[^\s"'\\!-][^\s"'\\]{0,27}$/;

const backend = textAs((text): Backend | undefined => {
  if (text === '') return undefined;
  if (text === 'iptables' || text === 'firewalld') return text;
  throw new Error(`unrecognized backend "${text}": must be "iptables" or "firewalld"`);
});

const ingressPolicy = textAs((text): IsolatingPolicy | undefined => {
  if (text === '' || text === 'open') return undefined;
  if (text === 'same-bridge' || text === 'isolated') return text;
  throw new Error(
    `unknown ingress policy: "${text}" (must be "open", "same-bridge" or "isolated")`,
  );
});

const chainName = textAs((text) => {
  const name = text || 'CNI-ADMIN';
  if (CHAIN_NAME.test(name)) return name;
  throw new Error(`"${text}" is no chain name: at most 28 characters, no blanks, no quotes`);
});

/** A zone's name must not begin with "-": busctl would take it for an option. */
const zoneName = textAs((text) => {
  const name = text || 'trusted';
  if (/^[^\s-]\S*$/.test(name)) return name;
  throw new Error(`"${text}" is no zone's name`);
});

const DEFAULT_DATA_DIR = '/run/cni/firewall';

const folder = textAs((text) => {
  const path = text || DEFAULT_DATA_DIR;
  if (path.startsWith('/')) return path;
  throw new Error(`must be an absolute path, not "${text}"`);
});

/** The keys of firewall. */
export const FirewallConfig = object(() => ({
  /** "iptables" or "firewalld"; default: firewalld if it runs, else iptables. */
  backend: z.optional(backend),
  /** iptables: the chain for the administrator's own rules, which come before those of the pods. */
  iptablesAdminChainName: optional(chainName, 'CNI-ADMIN'),
  /** firewalld: the zone that the pods' addresses become sources of. */
  firewalldZone: optional(zoneName, 'trusted'),
  /**
   * Who may reach a pod: "open" (all), "same-bridge" (not the pods of other such bridges),
   * "isolated" (nor other pods of its own).
   */
  ingressPolicy: z.optional(ingressPolicy),
  /** The folder of the pods' admissions. */
  dataDir: optional(folder, DEFAULT_DATA_DIR),
}));
export type FirewallConfig = z.infer<typeof FirewallConfig>;

const Place = object(() => ({ dataDir: tolerant(folder, DEFAULT_DATA_DIR) }));

/**
 * The keys for DEL and GC: the folder of the files, and all keys if none is faulty: with a faulty
 * key no ADD succeeded.
 */
export const FirewallTeardown = z.pipe(
  z.unknown(),
  z.transform((json) => ({
    dataDir: z.parse(Place, json).dataDir,
    keys: z.safeParse(FirewallConfig, json).data,
  })),
);
export type FirewallTeardown = z.infer<typeof FirewallTeardown>;

/** An attachment's admission, as its file has it. Other releases read these keys. */
export const Admission = z.object({
  network: z.string(),
  containerID: z.string(),
  ifName: z.string(),
  backend: z.enum(['iptables', 'firewalld']),
  /** firewalld's zone. */
  zone: z.string(),
  /** Of length 32 and 128. */
  addresses: z.array(prefix),
  /** The bridge whose pods are kept apart, and how. */
  isolation: z.optional(
    z.object({ bridge: z.string(), policy: z.enum(['same-bridge', 'isolated']) }),
  ),
  /** About the container. */
  evidence: textIfAny,
});
export type Admission = z.infer<typeof Admission>;
