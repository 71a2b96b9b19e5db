/** What pods that are gone may have left on a node: nothing. */
import { setTimeout } from 'node:timers/promises';
import { scaled } from '#test/limits.ts';
import type { Cri } from './cri.ts';
import { qdiscs } from './limits.ts';
import type { Machine } from './machine.ts';

/** Links that are the node's own, or stay for the next pod. */
const LINKS = new Set(['cni0', 'eth0', 'lo']);

/** The qdisc of links that have none. */
const NO_QUEUE = 'noqueue';

/** Files that host-local, like the reference plugin, keeps for the next pod. */
const KEPT = /(^|\/)(lock|last_reserved_ip\..*)$/;

/** Lines of `nft list ruleset` that are no rules, elements or policies, but what these would be in. */
const FRAME = /^\s*(table .*\{|(chain|map|set) .*\{|type .*|comment ".*"|\}|)$/;

/** Far more than a process takes to end. */
const END_TRIES = scaled(100);
const END_PAUSE_MS = 100;

/** What is left, by kind. */
export async function leftovers(machine: Machine, cri: Cri): Promise<Record<string, string[]>> {
  const links = await machine.node.links();
  const { items } = await cri.call('ListPodSandbox', {});
  const rules = await machine.run('nft', 'list', 'ruleset');
  const files = machine.files('/var/lib/cni').filter((name) => !KEPT.test(name));
  const below = (...folders: string[]) =>
    files.filter((name) => folders.some((folder) => name.startsWith(`${folder}/`)));
  const known = ['networks', 'flannel', 'results', 'cache'];
  return {
    links: links.filter((name) => !LINKS.has(name)),
    qdiscs: (await qdiscs(machine))
      .filter(({ kind }) => kind !== NO_QUEUE)
      .map(({ kind, dev }) => `${kind} ${dev}`),
    rules: rules.split('\n').filter((line) => !FRAME.test(line)),
    leases: below('networks'),
    'saved configurations': below('flannel'),
    'cached results': below('results', 'cache'),
    'other files': files.filter((name) => !below(...known).includes(name)),
    'network namespaces': machine.files('/run/netns'),
    sandboxes: items.map(({ id }) => id).toSorted(),
  };
}

/** A pod that the runtime has removed has a shim that is about to end. @returns those that do not */
export async function lastingShims(machine: Machine): Promise<string[]> {
  const shims = () => machine.processes().filter((name) => name.startsWith('containerd-shim'));
  for (let tries = 0; tries < END_TRIES && shims().length > 0; tries += 1) {
    await setTimeout(END_PAUSE_MS);
  }
  return shims();
}
