/**
 * npm run bench: ADD and DEL of the whole flannel chain, of portmap and of loopback beside the reference plugins (Debian's
 * containernetworking-plugins, or --peer DIR), pod by pod in turn, in namespaces of its own. Where the peer has no flannel, its bridge gets the
 * configuration that flannel would make. Times are of whole processes; compare the ratios, not machines.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { DemoFailure } from './demo/failure.ts';
import { ip, netnsPath } from './demo/command.ts';
import { enterWorld, runInWorld } from './demo/world.ts';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';

const INSIDE = '--inside';
const OURS = join(import.meta.dirname, '..', 'dist', 'bin');
const REFERENCE = '/usr/lib/cni';
const FOLDER = '/run/bench';

/** Counted pairs of a row, after those that warm the caches. */
const PODS = 25;
const WARM_UP = 3;

const TOOLS = { ip: 'iproute2', unshare: 'util-linux', strip: 'binutils', iptables: 'iptables' };

type Side = 'ours' | 'reference';
type Command = 'ADD' | 'DEL';

/** Milliseconds of each counted call. */
type Times = Record<Side, Record<Command, number[]>>;

/** A plugin and its configuration. */
interface Plugin {
  readonly name: string;
  readonly config: object;
}

/** What is measured: one plugin of each side, for pods of which no more than the namespace is there. */
interface Row {
  readonly title: string;
  readonly plugins: Readonly<Record<Side, Plugin>>;
}

function measure({ plugins }: Row, peer: string): Times {
  const times: Times = { ours: { ADD: [], DEL: [] }, reference: { ADD: [], DEL: [] } };
  for (let pod = 0; pod < PODS + WARM_UP; pod += 1) {
    for (const side of ['ours', 'reference'] as const) {
      const name = `pod-${side}-${pod}`;
      ip('netns', 'add', name);
      const folder = side === 'ours' ? OURS : peer;
      const added = call('ADD', name, folder, plugins[side]);
      const deleted = call('DEL', name, folder, plugins[side]);
      if (pod >= WARM_UP) {
        times[side].ADD.push(added);
        times[side].DEL.push(deleted);
      }
      ip('netns', 'del', name);
    }
  }
  return times;
}

/** @returns milliseconds @throws DemoFailure with what the plugin said */
function call(command: Command, pod: string, folder: string, { name, config }: Plugin): number {
  const program = join(folder, name);
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod,
    CNI_NETNS: netnsPath(pod),
    CNI_IFNAME: 'eth0',
    CNI_PATH: folder,
    PATH: process.env['PATH'] ?? '',
  };
  const options = { input: JSON.stringify(config), env, extendEnv: false, reject: false };
  const start = performance.now();
  const { failed, stdout, stderr } = execaSync(program, options);
  const ms = performance.now() - start;
  if (failed) throw new DemoFailure(`${command} by "${program}" failed: ${stdout}${stderr}`);
  return ms;
}

const common = { cniVersion: '1.0.0', name: 'cbr0' };

/** The whole chain from flannel on; flannel masquerades by the delegate just when flanneld does not. */
function flannelRow(ipMasq: boolean): Row {
  const subnetFile = join(FOLDER, ipMasq ? 'masq.env' : 'plain.env');
  const lines = [
    'FLANNEL_NETWORK=10.244.0.0/16',
    'FLANNEL_SUBNET=10.244.1.1/24',
    'FLANNEL_MTU=1450',
    `FLANNEL_IPMASQ=${!ipMasq}`,
  ];
  writeFileSync(subnetFile, `${lines.join('\n')}\n`);
  const ours = {
    ...common,
    type: 'flannel',
    subnetFile,
    dataDir: join(FOLDER, 'flannel'),
    ipam: { dataDir: join(FOLDER, 'ours') },
    delegate: { hairpinMode: true, isDefaultGateway: true },
  };
  return {
    title: ipMasq ? 'flannel (reference: bridge) with ipMasq' : 'flannel (reference: bridge)',
    plugins: {
      ours: { name: 'flannel', config: ours },
      reference: { name: 'bridge', config: bridgeConfig(ipMasq) },
    },
  };
}

const bridgeConfig = (ipMasq: boolean) => ({
  ...common,
  type: 'bridge',
  hairpinMode: true,
  isDefaultGateway: true,
  isGateway: true,
  ipMasq,
  mtu: 1450,
  ipam: {
    type: 'host-local',
    dataDir: join(FOLDER, 'reference'),
    ranges: [[{ subnet: '10.244.1.0/24' }]],
    routes: [{ dst: '10.244.0.0/16' }],
  },
});

/** One mapping of a pod with an address of each family. */
function portmapRow(): Row {
  const config = {
    ...common,
    type: 'portmap',
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    prevResult: {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
      ips: [
        { address: '10.244.1.9/24', interface: 0 },
        { address: 'fd00:244:1::9/64', interface: 0 },
      ],
    },
  };
  const plugin = { name: 'portmap', config };
  return {
    title: 'portmap, one mapping, dual stack',
    plugins: { ours: plugin, reference: plugin },
  };
}

function loopbackRow(): Row {
  const plugin = { name: 'loopback', config: { ...common, type: 'loopback' } };
  return { title: 'loopback', plugins: { ours: plugin, reference: plugin } };
}

function report(title: string, times: Times): void {
  for (const command of ['ADD', 'DEL'] as const) {
    const [ours, reference] = [times.ours[command], times.reference[command]];
    const ratio = median(ours) / median(reference);
    console.log(
      `| ${command} ${title} | ${summary(ours)} | ${summary(reference)} | ${ratio.toFixed(2)} |`,
    );
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const summary = (values: readonly number[]): string =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)})`;

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === INSIDE) {
    const [, peer = '', machine = ''] = args;
    enterWorld(machine);
    ip('link', 'set', 'lo', 'up');
    console.log(`Milliseconds of a whole call: median (least–most) of ${PODS} pods, taken in turn`);
    console.log('| | ours | reference | ratio |\n|---|---|---|---|');
    mkdirSync(FOLDER, { recursive: true });
    for (const row of [flannelRow(false), flannelRow(true), portmapRow(), loopbackRow()]) {
      report(row.title, measure(row, peer));
    }
    return 0;
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new DemoFailure('the bench makes network namespaces: run it as root on Linux');
  }
  const peer = args[0] === '--peer' ? (args[1] ?? '') : REFERENCE;
  await ensureTools({ ...TOOLS, [join(peer, 'bridge')]: 'containernetworking-plugins' });
  await ensureBuilt();
  return runInWorld([import.meta.filename, INSIDE, peer]);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DemoFailure || error instanceof NotPrepared)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
