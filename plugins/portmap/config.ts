/** The keys that portmap reads, and what follows from them. */
import * as z from 'zod/mini';
import {
  addressIfAny,
  flag,
  integer,
  object,
  optional,
  textAs,
  textIfAny,
  textList,
} from '#lib/cni/schema.ts';
import type { Backend } from '#lib/netfilter/backend.ts';

/** The bit of the packet mark that the reference plugin takes. */
const MARK_BIT = 13;

const PORT_MAX = 65_535;

/** Transport protocols that have ports: their numbers (RFC 790 and later). */
export const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;

/** A transport protocol's name. */
export type Protocol = keyof typeof PROTOCOLS;

const protocol = textAs((text): Protocol => {
  const name = text.toLowerCase();
  if (Object.hasOwn(PROTOCOLS, name)) return name as Protocol;
  throw new Error(`must be ${Object.keys(PROTOCOLS).join(', ')}, not "${text}"`);
});

const portNumber = (kind: string) =>
  z.pipe(
    z.int(),
    z.transform((number, { issues }) => {
      if (number < 1 || number > PORT_MAX) {
        const message = `Invalid ${kind} port number: ${number} (must be 1 to ${PORT_MAX})`;
        issues.push({ code: 'custom', input: number, message });
      }
      return number;
    }),
  );

/** One port of the host that leads to one of the container. */
const PortMapping = object(() => ({
  hostPort: portNumber('host'),
  containerPort: portNumber('container'),
  protocol: optional(protocol, 'tcp'),
  /** The one address of the host that it is for; absent or unspecified (0.0.0.0, ::): all. */
  hostIP: addressIfAny,
}));
export type PortMapping = z.infer<typeof PortMapping>;

const Keys = object(() => ({
  /** The backend that translates; default: nftables if the kernel has it. */
  backend: textIfAny,
  /** Masquerade connections from the container's own subnet and from 127.0.0.0/8. */
  snat: optional(z.boolean(), true),
  /** Masquerade all connections through host ports. */
  masqAll: flag,
  /** Bit of the packet mark for connections that are to be masqueraded. */
  markMasqBit: z.optional(integer(0, 31)),
  /** iptables: a chain of somebody else's that marks connections to be masqueraded. */
  externalSetMarkChain: textIfAny,
  /** Further conditions for IPv4, in the backend's words. */
  conditionsV4: textList,
  /** Further conditions for IPv6. */
  conditionsV6: textList,
  /** Capability portMappings. */
  runtimeConfig: z.optional(object(() => ({ portMappings: optional(z.array(PortMapping), []) }))),
}));
type Keys = z.infer<typeof Keys>;

/** The keys for DEL and GC. */
export const PortmapTeardown = object(() => ({
  /**
   * Whether the runtime asks for anything, well or badly: an earlier DEL may have left something
   * then.
   */
  runtimeConfig: z.optional(z.unknown()),
}));
export type PortmapTeardown = z.infer<typeof PortmapTeardown>;

/** The keys of portmap, checked against each other. */
export const PortmapConfig = z.pipe(
  Keys,
  z.transform((keys, { issues }) => {
    const refuse = (message: string) => issues.push({ code: 'custom', message, input: keys });
    if (keys.externalSetMarkChain !== undefined && keys.markMasqBit !== undefined) {
      refuse('Cannot specify externalSetMarkChain and markMasqBit');
    }
    for (const token of [...keys.conditionsV4, ...keys.conditionsV6]) {
      if (/[\n;#]/.test(token))
        refuse(`conditions must not hold line ends, ";" or "#": "${token}"`);
    }
    return {
      backend: backendOf(keys, refuse),
      masquerade: {
        snat: keys.snat,
        all: keys.masqAll,
        markBit: keys.markMasqBit ?? MARK_BIT,
        externalChain: keys.externalSetMarkChain,
      },
      conditions: { 4: keys.conditionsV4, 6: keys.conditionsV6 },
      portMappings: keys.runtimeConfig?.portMappings ?? [],
    };
  }),
);
export type PortmapConfig = z.infer<typeof PortmapConfig>;

/** How the sources of connections through host ports are masqueraded. */
export type MasqueradeKeys = PortmapConfig['masquerade'];

/** Options that mean something to one backend only choose it, if nothing else does. */
function backendOf(keys: Keys, refuse: (message: string) => void): Backend | undefined {
  const specific = {
    iptables: keys.externalSetMarkChain === undefined ? [] : ['externalSetMarkChain'],
    nftables: [] as string[],
  } satisfies Record<Backend, string[]>;
  for (const name of ['conditionsV4', 'conditionsV6'] as const) {
    const [first] = keys[name];
    if (first !== undefined) specific[/^[-!]/.test(first) ? 'iptables' : 'nftables'].push(name);
  }
  const backend = keys.backend || (specific.iptables.length > 0 ? 'iptables' : undefined);
  if (backend !== undefined && backend !== 'iptables' && backend !== 'nftables') {
    refuse(`unrecognized backend "${backend}": must be "nftables" or "iptables"`);
    return undefined;
  }
  if (backend === undefined) return specific.nftables.length > 0 ? 'nftables' : undefined;
  const other = backend === 'iptables' ? 'nftables' : 'iptables';
  if (specific[other].length > 0) {
    const options = specific[other].join(' ');
    refuse(
      `${backend} backend was requested but configuration contains ${other}-specific options [${options}]`,
    );
  }
  return backend;
}
