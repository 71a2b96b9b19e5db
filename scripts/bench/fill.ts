/**
 * Fills a node with what many pods leave on it, leases and rules, without the pods: a bridge has no more than 1023 ports, and the peer's
 * own calls would take an hour. Rules of ours are made by the plugins' own functions; those of the peer are copies, with other
 * names, addresses and ports, of those that it made for a pod.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { Attachment } from '#lib/cni/attachment.ts';
import { NO_DNS } from '#lib/cni/config.ts';
import { within } from '#lib/sys/netns.ts';
import { masquerade } from '#lib/masquerade/masquerade.ts';
import { openNftables } from '#lib/net/nftables.ts';
import { parseWith } from '#lib/cni/schema.ts';
import { PortmapConfig } from '#plugins/portmap/config.ts';
import { forwards } from '#plugins/portmap/forward.ts';
import { addMappings } from '#plugins/portmap/nftables.ts';
import { ip } from '#scripts/world/command.ts';
import { ScriptFailure } from '#scripts/world/failure.ts';
import { addPod, deletePod, leasesOf, mappings, SUBNET } from './chain.ts';
import { runTimed } from './clock.ts';
import type { Side } from './side.ts';

/** The pods that are not there begin at this address of the subnet, and at this host port. */
const FIRST_ADDRESS = Address.parse('10.244.4.0');
const FIRST_PORT = 10_000;

const addressOf = (number: number): Address => FIRST_ADDRESS.plus(BigInt(number));

/** Makes what this many pods leave. @throws ScriptFailure */
export function fill(side: Side, count: number): void {
  const numbers = Array.from({ length: count }, (_, index) => index);
  writeLeases(
    join(leasesOf(side), 'cbr0'),
    numbers.map((number) => addressOf(number)),
  );
  if (count === 0) return;
  if (side.name === 'ours') within(side.host, () => fillOurs(side, numbers));
  else copyRules(side, numbers);
}

/** Reservations in the reference host-local's form. */
export function writeLeases(folder: string, addresses: readonly Address[]): void {
  mkdirSync(folder, { recursive: true });
  for (const address of addresses) {
    writeFileSync(join(folder, String(address)), `filled-${address}\r\neth0`);
  }
}

function fillOurs(side: Side, numbers: readonly number[]): void {
  const subnet = Prefix.parse(SUBNET);
  using nftables = openNftables();
  using undo = new DisposableStack();
  for (const number of numbers) {
    const owner: Attachment = {
      network: 'cbr0',
      containerID: `filled-${number}`,
      ifName: 'eth0',
      netns: side.host.path,
    };
    const pod = new Prefix(addressOf(number), subnet.bits);
    masquerade(owner, [pod], { backend: 'nftables', nonMasqueradeCIDRs: [] }, undo);
    const config = portmapConfigOf(number);
    const result = { interfaces: [], ips: [{ address: pod }], routes: [], dns: NO_DNS };
    addMappings(nftables, owner, forwards(config.portMappings, result, owner), config);
  }
  undo.move();
}

const portmapConfigOf = (number: number): PortmapConfig => {
  const port = FIRST_PORT + number;
  const runtimeConfig = { portMappings: mappings([port, port]) };
  return parseWith(PortmapConfig, { runtimeConfig }, 'config');
};

/** A pod of the peer's whose rules are copied. */
const TEMPLATE = { name: 'template', portMappings: mappings([9990, 9991]) };

function copyRules(side: Side, numbers: readonly number[]): void {
  ip('netns', 'add', TEMPLATE.name);
  const { result } = addPod(side, TEMPLATE);
  const [own] = (result as { ips: { address: string }[] }).ips;
  const address = own?.address.split('/')[0] ?? '';
  const rules = templateRules(program(side, 'iptables-save', ['-t', 'nat'], ''));
  if (rules.lines.length === 0) {
    throw new ScriptFailure(
      `"${side.folder}" leaves no iptables rules that could be copied: its node can't be filled`,
    );
  }
  const copies = numbers.flatMap((number) => copyOf(rules, number, address));
  const input = ['*nat', ...copies, 'COMMIT', ''].join('\n');
  program(side, 'iptables-restore', ['--noflush'], input);
  deletePod(side, TEMPLATE, result);
  ip('netns', 'del', TEMPLATE.name);
}

interface Rules {
  readonly lines: readonly string[];
  /** The pod's own chains. */
  readonly chains: readonly string[];
}

/** The rules that name the pod, and those in the chains that these lead to. */
function templateRules(saved: string): Rules {
  const all = saved.split('\n');
  const naming = all.filter((line) => line.includes(TEMPLATE.name));
  const chains = [...new Set(naming.map((line) => /-j (CNI-(?:DN-)?[0-9a-f]+)$/.exec(line)?.[1]))];
  const own = chains.filter((chain) => chain !== undefined);
  const inside = all.filter((line) => own.some((chain) => line.startsWith(`-A ${chain} `)));
  return { lines: [...new Set([...naming, ...inside])], chains: own };
}

/** The same rules for another pod. */
function copyOf({ lines, chains }: Rules, number: number, address: string): string[] {
  const digits = number.toString(16).padStart(6, '0');
  const rename = (chain: string) => `${chain.slice(0, -digits.length)}${digits}`;
  const port = String(FIRST_PORT + number);
  const copies = lines.map((line) =>
    chains
      .reduce((text, chain) => text.replaceAll(chain, rename(chain)), line)
      .replaceAll(TEMPLATE.name, `filled-${number}`)
      .replaceAll(address, String(addressOf(number)))
      .replaceAll(/\b999[01]\b/g, port),
  );
  return [...chains.map((chain) => `:${rename(chain)} - [0:0]`), ...copies];
}

/** Runs a program on a node. @returns what it printed @throws ScriptFailure */
const program = ({ host }: Side, file: string, args: readonly string[], input: string): string =>
  runTimed(host, { program: file, args, env: { PATH: process.env['PATH'] ?? '' }, input }).stdout;
