/** Work without a plugin's start: an executable that does nothing, made as ours are, a call in this process, a pair of interfaces that goes. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPlugin, PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { invoke } from '#lib/cni/plugin.ts';
import { deleteLink } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { within } from '#lib/sys/netns.ts';
import { ip, netnsPath } from '#scripts/world/command.ts';
import { makeExecutable } from '#scripts/build/executable.ts';
import { toVariables } from '#scripts/world/plugin-call.ts';
import type { Plugin } from './chain.ts';
import type { Call, Side } from './side.ts';

/** Makes the executable that does nothing. @returns its path */
export async function makeEmptyExecutable(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const [entry, output] = [join(folder, 'empty.cjs'), join(folder, 'empty')];
  writeFileSync(entry, '');
  await makeExecutable(entry, {}, output);
  return output;
}

/** One of our plugins' calls in this process, whose code is warm after some: what is left is the kernel's time and a little of ours. @returns milliseconds */
export function callInProcess(side: Side, { name, config }: Plugin, call: Call): number {
  const plugin = findPlugin(name);
  if (plugin === undefined) throw new Error(`No plugin ${name}`);
  const input = Buffer.from(JSON.stringify(config));
  const env = toVariables({
    command: call.command,
    containerID: call.pod,
    netns: netnsPath(call.pod),
    ifName: 'eth0',
    path: ownPath(),
    env: { PATH: '' },
  });
  const start = performance.now();
  within(side.host, () => {
    invoke(plugin, {
      env,
      readInput: () => input,
      print: () => {},
      builtins: findPlugin,
      isDelegate: false,
    });
  });
  return performance.now() - start;
}

/** A folder where delegates are this very process: then they are called in it. */
function ownPath(): string {
  const folder = '/run/bench/self';
  mkdirSync(folder, { recursive: true });
  for (const name of PLUGIN_NAMES) {
    const path = join(folder, name);
    if (!existsSync(path)) symlinkSync(process.execPath, path);
  }
  return folder;
}

/** The kernel's time for the deletion of a pair of interfaces, one of them in a pod. @returns milliseconds */
export function deletePair(side: Side, pod: string): number {
  return within(side.host, () => {
    ip('link', 'add', 'pair0', 'type', 'veth', 'peer', 'eth0', 'netns', pod);
    ip('link', 'set', 'pair0', 'up');
    ip('-n', pod, 'link', 'set', 'eth0', 'up');
    using rtnl = openRtnl();
    const start = performance.now();
    deleteLink(rtnl, 'pair0');
    return performance.now() - start;
  });
}
