/** The two suites that are compared, each on a node of its own: a network namespace and folders. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openNetns, type Netns } from '#lib/sys/netns.ts';
import { addNetns, netnsPath, run } from '#scripts/world/command.ts';
import { type PluginCall, toStart } from '#scripts/world/plugin-call.ts';
import { type Outcome, runBeside, runTimed } from './clock.ts';

/** Which suite. */
export type SideName = 'ours' | 'peer';

/** A suite on its node. */
export interface Side {
  readonly name: SideName;
  /** Where its plugins are. */
  readonly folder: string;
  /** Whether it has a flannel; if not, its bridge gets the configuration that flannel would make. */
  readonly hasFlannel: boolean;
  readonly host: Netns;
  /** Where the suite keeps its state. */
  readonly state: string;
}

/** What a plugin is called with, besides its configuration. */
export interface Call {
  readonly command: 'ADD' | 'DEL' | 'VERSION';
  /** Name of the pod's namespace, and the container's ID. */
  readonly pod: string;
  readonly ifName?: string;
}

/** Makes a node with a suite on it. `id` is part of its namespace's name. */
export function makeSide(name: SideName, folder: string, id: string): Side {
  const netns = `node-${name}-${id}`;
  addNetns(netns);
  return {
    name,
    folder,
    hasFlannel: existsSync(join(folder, 'flannel')),
    host: openNetns(netnsPath(netns)),
    state: join('/run/bench', netns),
  };
}

/** A call of a plugin as a runtime makes it. */
const pluginCall = ({ folder }: Side, plugin: string, config: object, call: Call): PluginCall => ({
  command: call.command,
  containerID: call.pod,
  netns: netnsPath(call.pod),
  ifName: call.ifName ?? 'eth0',
  path: folder,
  program: [join(folder, plugin)],
  config,
});

/** Calls a plugin and waits. @throws ScriptFailure */
export const callPlugin = (side: Side, plugin: string, config: object, call: Call): Outcome =>
  runTimed(side.host, toStart(pluginCall(side, plugin, config, call)));

/** Calls a plugin beside others. @returns what it printed @throws ScriptFailure */
export const callBeside = (
  side: Side,
  plugin: string,
  config: object,
  call: Call,
): Promise<string> => runBeside(side.host, toStart(pluginCall(side, plugin, config, call)));

/** The most memory that a call of a plugin has at one time, in MB. */
export function peakMemory(side: Side, plugin: string, config: object, call: Call): number {
  const file = '/run/bench/peak';
  // By a program of its own: what a process had before it became another counts for that too.
  const through = ['/usr/bin/time', '-f', '%M', '-o', file];
  runTimed(side.host, toStart({ ...pluginCall(side, plugin, config, call), through }));
  return Number(run('cat', [file])) / 1024;
}
