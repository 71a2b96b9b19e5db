/**
 * cnitool: does by hand what a container runtime does to a network. Arguments, files and errors are
 * the reference cnitool's.
 */
import { RELEASE } from '#lib/sys/release.ts';
import { toCniError } from '#lib/cni/error.ts';
import type { Builtins } from '#lib/cni/plugin.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import {
  environment,
  type Environment,
  log,
  setExitStatus,
  stderrIsTerminal,
  writeStdout,
} from '#lib/sys/process.ts';
import {
  type Arguments,
  type NetworkArguments,
  parseArguments,
  USAGE,
  UsageError,
} from './arguments.ts';
import { describeAttachment, type RuntimeAttachment } from './attachment.ts';
import { CACHE_DIR, listCache } from './cache.ts';
import {
  AddIncomplete,
  addNetwork,
  checkNetwork,
  checkStatus,
  collectNetwork,
  deleteNetwork,
} from './chain.ts';
import { formatInventory } from './list.ts';
import { findNetwork, listNetworks, type Network } from './network-list.ts';
import type { Host } from './plugin-run.ts';

const DEFAULT_FOLDER = '/etc/cni/net.d';

/** Runs cnitool; sets the exit status. `builtins` are the plugins that need no file in CNI_PATH. */
export function cnitool(args: readonly string[], builtins: Builtins): void {
  try {
    run(parseArguments(args), builtins);
  } catch (error) {
    setExitStatus(1);
    report(error, args);
  }
}

function run(args: Arguments, builtins: Builtins): void {
  const env = environment();
  if ('network' in args) runNetwork(args, env, builtins);
  else if (args.command === 'list') list(folderOf(env));
  else if (args.command === 'help') writeStdout(`${USAGE}\n`);
  else writeStdout(`cnitool ${RELEASE}\nCNI ${SPEC_VERSIONS.join(', ')}\n`);
}

const folderOf = (env: Environment): string => env['NETCONFPATH'] || DEFAULT_FOLDER;

function list(folder: string): void {
  const inventory = { folder, networks: listNetworks(folder), cached: listCache(CACHE_DIR) };
  writeStdout(formatInventory(inventory));
}

function runNetwork(args: NetworkArguments, env: Environment, builtins: Builtins): void {
  const network = findNetwork(folderOf(env), args.network);
  const attachment = describeAttachment(args.netnsPath, args.ifName, env);
  const host = { env, builtins, cacheDir: CACHE_DIR, showsProgress: stderrIsTerminal() };
  COMMANDS[args.command](host, network, attachment);
}

type Command = (host: Host, network: Network, attachment: RuntimeAttachment) => void;

const COMMANDS: Readonly<Record<NetworkArguments['command'], Command>> = {
  add: (...call) => writeStdout(`${JSON.stringify(addNetwork(...call), null, 4)}\n`),
  check: checkNetwork,
  del: deleteNetwork,
  gc: collectNetwork,
  status: checkStatus,
};

function report(error: unknown, args: readonly string[]): void {
  if (error instanceof UsageError) {
    log(`cnitool: ${error.message}\n\n${USAGE}`);
    return;
  }
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  for (const one of errors) {
    const { message, details } = toCniError(one);
    log(`cnitool: ${message.replace(/\.$/, '')}${details === '' ? '' : `; ${details}`}`);
  }
  if (error instanceof AddIncomplete) log(`cnitool: ${advice(args)}`);
}

/** Which call removes what a call of add left behind. */
function advice(args: readonly string[]): string {
  const add = parseArguments(args);
  if (!('network' in add)) return '';
  const option = add.ifName ? `-i ${add.ifName} ` : '';
  const command = `cnitool del ${option}${add.network} ${add.netnsPath}`;
  return `what was added before the failure is still there; to remove it: ${command}`;
}
