/** What is on the machines and on disk: asked after the last DEL. */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { execaSync } from 'execa';
import { inNetns, ip, netnsPath } from '#scripts/world/command.ts';
import type { Node } from './plan.ts';

/** Not leftovers: what the reference host-local keeps as well, and what the demo itself wrote. */
const KEPT = /^(last_reserved_ip\..*|lock|subnet\.env)$/;

/** The names of a namespace's links, sorted. */
export function linkNames(netns: string): string {
  const links = JSON.parse(ip('-n', netns, '-json', 'link')) as { ifname: string }[];
  return links
    .map(({ ifname }) => ifname)
    .toSorted()
    .join(' ');
}

/** The addresses with prefix lengths of a link's family 4, by `ip`, not by the plugin. */
export function ipv4Addresses(netns: string, link: string): string {
  const json = ip('-n', netns, '-json', '-4', 'address', 'show', 'dev', link);
  const [shown] = JSON.parse(json) as { addr_info: { local: string; prefixlen: number }[] }[];
  return (shown?.addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`).join(' ');
}

/** Files that no pod needs any more, or "none". */
export function leftFiles({ folder }: Node): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !KEPT.test(entry.name))
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  return files.join(' ') || 'none';
}

/** The nft rules of a namespace, or "none"; undefined where there is no nft to ask. */
export function nftRules(netns: string): string | undefined {
  const nft = execaSync(...inNetns(netnsPath(netns), 'nft', 'list', 'ruleset'), { reject: false });
  // As with env and nohup: there is no such program, or none that can be run.
  if (nft.exitCode === 127 || nft.exitCode === 126) return undefined;
  if (nft.failed) return `nft failed: ${nft.stderr || nft.shortMessage}`;
  return nft.stdout.trim() === '' ? 'none' : `${nft.stdout.trim().split('\n').length} lines`;
}
