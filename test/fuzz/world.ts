/**
 * The node that whole calls are made on: the namespaces of `npm run fuzz`, two pods, state below /run/fuzz. Nothing else can
 * be written; what is there can be compared with what was there, and put right after a call that left something.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PLUGIN_NAMES } from '#cmd/cni-suite/programs.ts';
import { openNetns, within } from '#lib/sys/netns.ts';
import { run } from '#scripts/world/command.ts';
import { CHAINED_POD, SUBNET_ENV } from './configs.ts';

/** All that calls may write lies below it. */
export const FOLDER = '/run/fuzz';

/** A file that nobody may touch. */
export const VICTIM = '/run/victim';

/** What is being done right now, for whoever has to tell why it does not end. */
export const CURRENT = '/run/current';

/** A folder for CNI_PATH that has all plugins. */
export const OWN_FOLDER = '/run/bin';

/** Folders that calls could write into: all others are read-only. The second is where plugins keep state if nothing is configured. */
const WRITABLE = ['/run', '/var/lib'];

/** Runs what may fail: what it takes away need not be there. */
const tryRun = (file: string, args: readonly string[], input = ''): void =>
  void spawnSync(file, args, { input });

const ip = (...lines: readonly string[]): string => run('ip', ['-batch', '-'], lines.join('\n'));

/** Furnishes the world that this process is in, which has an empty /run of its own. */
export function furnish(): void {
  for (const folder of WRITABLE.slice(1)) run('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
  run('mount', ['-o', 'remount,bind,ro', '/']);
  mkdirSync('/run/flannel');
  writeFileSync('/run/flannel/subnet.env', SUBNET_ENV);
  mkdirSync(OWN_FOLDER);
  // What leads to this very program is run in this process.
  for (const name of PLUGIN_NAMES) symlinkSync(process.execPath, join(OWN_FOLDER, name));
  build();
}

function build(): void {
  mkdirSync(FOLDER);
  process.chdir(FOLDER);
  writeFileSync(join(FOLDER, 'subnet.env'), SUBNET_ENV);
  writeFileSync(join(FOLDER, 'resolv.conf'), 'nameserver 10.1.0.1\n');
  writeFileSync(VICTIM, 'nobody reads this');
  ip(
    'link set lo up',
    'netns add pod',
    'netns add chained',
    'link add br1 address 02:00:00:00:00:08 type bridge',
  );
  ip(
    'link add veth00000001 type veth peer name eth0 netns chained',
    'link set br1 addrgenmode none',
  );
  ip(
    'link set veth00000001 addrgenmode none',
    'link set veth00000001 master br1 up',
    'link set br1 up',
  );
  ip('addr add 10.1.0.1/24 dev br1', 'addr add fd00:1::1/64 dev br1 nodad');
  const pod = [
    'link set eth0 addrgenmode none',
    'addr add 10.1.0.2/24 dev eth0',
    'addr add fd00:1::2/64 dev eth0 nodad',
  ];
  run(
    'ip',
    ['-netns', 'chained', '-batch', '-'],
    [...pod, 'link set eth0 up', 'link set lo up'].join('\n'),
  );
  // What ADD turns on for the whole node stays on.
  const global = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/br1/route_localnet'];
  for (const name of global) writeFileSync(join('/proc/sys/net', name), '1');
  // The kernel's own addresses stay when the interface is set down.
  run('ip', ['-netns', 'pod', '-batch', '-'], 'link set lo up\nlink set lo down');
}

/** Takes everything away, whatever calls left, and builds it anew. */
export function rebuild(): void {
  process.chdir('/');
  for (const name of ['pod', 'chained']) tryRun('ip', ['netns', 'del', name]);
  for (const name of linkNames()) tryRun('ip', ['link', 'del', name]);
  run('nft', ['flush', 'ruleset']);
  for (const family of ['iptables-legacy', 'ip6tables-legacy']) {
    const tables = ['*nat', 'COMMIT', '*filter', 'COMMIT', '*mangle', 'COMMIT', ''].join('\n');
    tryRun(`${family}-restore`, [], tables);
  }
  for (const folder of WRITABLE.slice(1)) {
    for (const name of readdirSync(folder))
      rmSync(join(folder, name), { recursive: true, force: true });
  }
  rmSync(FOLDER, { recursive: true, force: true });
  build();
}

function linkNames(): string[] {
  const all = JSON.parse(run('ip', ['-json', 'link'])) as { ifname: string }[];
  return all.map(({ ifname }) => ifname).filter((name) => name !== 'lo');
}

/**
 * Takes away what goes with a pod when the whole network is deleted: queues with the interface, parameters with the
 * namespace; and bridges, which outlive their pods, as the reference has it.
 */
export function tidy(before: readonly string[], pod: string): void {
  if (pod === CHAINED_POD) {
    for (const kind of ['root', 'ingress'])
      tryRun('tc', ['qdisc', 'del', 'dev', 'veth00000001', kind]);
    restoreSysctls(before, pod);
    return;
  }
  const text = run('ip', ['-json', 'link', 'show', 'type', 'bridge']);
  for (const { ifname } of JSON.parse(text || '[]') as { ifname: string }[]) {
    const ports = run('ip', ['-json', 'link', 'show', 'master', ifname]);
    if (ifname !== 'br1' && JSON.parse(ports || '[]').length === 0)
      tryRun('ip', ['link', 'del', ifname]);
  }
}

function restoreSysctls(before: readonly string[], pod: string): void {
  using netns = openNetns(pod);
  const known = new Set(before);
  within(netns, () => {
    for (const line of sysctls().filter((now) => !known.has(`chained: ${now}`))) {
      const [path = ''] = line.split(' = ');
      const former = before.find((one) => one.startsWith(`chained: ${path} = `));
      if (former !== undefined) writeFileSync(path, former.slice(`chained: ${path} = `.length));
    }
  });
}

/** The system as it is now, as far as calls for a pod have to do with it: a line for each thing. */
export function snapshot(pod: string): string[] {
  const name = pod.slice(pod.lastIndexOf('/') + 1);
  using netns = openNetns(pod);
  const values = within(netns, () => sysctls());
  const inPod = [...links(['-netns', name]), ...values].map((line) => `${name}: ${line}`);
  const queues = pod === CHAINED_POD ? [run('tc', ['qdisc', 'show'])] : [];
  return [...links([]), ...sysctls(), ...queues, ...inPod, ...WRITABLE.flatMap(filesIn), rules()];
}

const LISTS = ['link show', 'addr show', 'route show table all', 'rule show', 'neigh show'];

function links(where: readonly string[]): string[] {
  const text = run('ip', [...where, '-oneline', '-batch', '-'], LISTS.join('\n'));
  // Counted on, whoever comes and goes.
  return text.split('\n').map((line) => line.replaceAll(/@if\d+|link-netnsid \d+/g, ''));
}

/** Without the tables and chains that iptables makes for itself, and never takes away. */
const rules = (): string =>
  run('nft', ['list', 'ruleset'])
    .replaceAll(/^\tchain [A-Z]+ \{\n\t\ttype [^\n]* policy accept;\n\t\}\n\n?/gm, '')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/^table [^\n]* \{\n\}\n?/gm, '');

/** Parameters of this thread's namespace that a plugin may set: those of interfaces that are there before and after. */
function sysctls(): string[] {
  const folders = ['core', 'ipv4', 'ipv6'].flatMap((name) => {
    const conf = ['all', 'default', 'lo', 'eth0', 'br1'].map((link) => join(name, 'conf', link));
    return name === 'core' ? [name] : [name, ...conf];
  });
  return folders.flatMap((folder) => parametersIn(join('/proc/sys/net', folder)));
}

function parametersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => `${join(folder, name)} = ${readable(join(folder, name))}`);
  } catch {
    // An interface that this namespace has not.
    return [];
  }
}

function readable(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Some can only be written, some have no value yet.
    return 'nothing that can be read';
  }
}

/** Not left by a call: what the reference host-local keeps as well, what programs lock, and what we write ourselves. */
const KEPT = /\/(lock|last_reserved_ip\.[0-9]+|xtables\.lock)$|^\/run\/(current|netns\/.*)$/;

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path);
    return KEPT.test(path) ? [] : [`${path}: ${describeFile(path)}`];
  });
}

function describeFile(path: string): string {
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isSymbolicLink()) return `link to ${readlinkSync(path)}`;
  return stat.isFile() ? `${mode} ${readFileSync(path, 'latin1')}` : mode;
}

/** What is in one snapshot and not in the other; empty if they are the same. */
export function differences(before: readonly string[], after: readonly string[]): string {
  const gone = before.filter((line) => !after.includes(line)).map((line) => `- ${line}`);
  const come = after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`);
  return [...gone, ...come].map((line) => line.slice(0, 500)).join('\n');
}
