/** The example configurations, read with the project's own readers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseConfig } from '#lib/cni/config.ts';
import { isName } from '#lib/cni/environment.ts';
import type { AnyPlugin, Call } from '#lib/cni/plugin.ts';
import { parseWith } from '#lib/cni/schema.ts';
import { isAtLeast, isSpecVersion, type SpecVersion } from '#lib/cni/version.ts';
import { bandwidth } from '#plugins/bandwidth/main.ts';
import { BridgeConfig } from '#plugins/bridge/config.ts';
import { bridge } from '#plugins/bridge/main.ts';
import type { FlannelConfig } from '#plugins/flannel/config.ts';
import { delegateConfig } from '#plugins/flannel/delegate-config.ts';
import { flannel } from '#plugins/flannel/main.ts';
import { parseSubnetEnv } from '#lib/flannel/subnet-env.ts';
import type { FirewallConfig } from '#plugins/firewall/config.ts';
import { firewall } from '#plugins/firewall/main.ts';
import { portmap } from '#plugins/portmap/main.ts';
import { HostLocalConfig, rangeSets } from '#plugins/host-local/config.ts';
import type { PtpConfig } from '#plugins/ptp/config.ts';
import { ptp } from '#plugins/ptp/main.ts';
import { requireGateways } from '#plugins/ptp/wire.ts';
import { staticAnswer, StaticConfig } from '#plugins/static/config.ts';
import { settings, type TuningConfig } from '#plugins/tuning/config.ts';
import { tuning } from '#plugins/tuning/main.ts';
import { ROOT } from '#scripts/world/paths.ts';

const CONF = join(ROOT, 'conf');
const PLUGINS: Readonly<Record<string, AnyPlugin>> = {
  bandwidth,
  bridge,
  firewall,
  flannel,
  portmap,
  ptp,
  tuning,
};

type Json = Readonly<Record<string, unknown>>;

interface List {
  readonly name: string;
  readonly cniVersion: SpecVersion;
  readonly plugins: readonly (Json & { readonly type: string })[];
}

const namesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(CONF, folder)).filter((name) => name.endsWith(ending));

const read = (name: string): string => readFileSync(join(CONF, name), 'utf8');
const readList = (name: string): List => JSON.parse(read(name)) as List;

/** The configuration of a list's plugin as a runtime completes it, and what the plugin makes of it. */
function parsePlugin({ name, cniVersion }: List, plugin: List['plugins'][number]) {
  const parsed = parseConfig(Buffer.from(JSON.stringify({ ...plugin, name, cniVersion })));
  const schema = PLUGINS[plugin.type]?.config;
  if (schema === undefined) throw new Error(`This test knows no plugin "${plugin.type}"`);
  return { json: parsed.json, config: parseWith(schema, parsed.json, plugin.type) as unknown };
}

/** The address families that a plugin's IPAM gives out, each as often as it does. */
function familiesOf(json: Json, list: List): readonly number[] {
  const { type } = json['ipam'] as { readonly type: string };
  if (type === 'static') return staticIps(json, list).map(({ address }) => address.family);
  return hostLocalRanges(json, list.cniVersion).map(({ family }) => family);
}

const staticIps = (json: Json, { cniVersion }: List) =>
  staticAnswer({ config: parseWith(StaticConfig, json, 'static'), cniVersion, env: {} }).ips;

const hostLocalRanges = (json: Json, version: SpecVersion) =>
  rangeSets(parseWith(HostLocalConfig, json, 'host-local'), version);

for (const name of namesIn('', '.conflist')) {
  test(`${name} is a list that the plugins accept`, (t) => {
    const list = readList(name);
    t.true(isName(list.name));
    t.true(isSpecVersion(list.cniVersion));
    t.true(list.plugins.length > 0);
    for (const plugin of list.plugins) {
      t.true(PLUGINS[plugin.type]?.versions.includes(list.cniVersion));
      const { json } = parsePlugin(list, plugin);
      if (json['ipam'] !== undefined) t.true(familiesOf(json, list).length > 0);
    }
  });
}

/** The first plugin of a list: its JSON and what it makes of that. */
function firstOf(name: string) {
  const list = readList(name);
  const [plugin] = list.plugins;
  if (plugin === undefined) throw new Error(`"${name}" has no plugins`);
  return { list, ...parsePlugin(list, plugin) };
}

/** The first plugin of a list of one bridge. */
function bridgeOf(name: string): { config: BridgeConfig; families: readonly number[] } {
  const { json, list, config } = firstOf(name);
  return { config: config as BridgeConfig, families: familiesOf(json, list) };
}

test('20-bridge.conflist is a gateway that masquerades IPv4', (t) => {
  const { config, families } = bridgeOf('20-bridge.conflist');
  t.true(config.isDefaultGateway);
  t.truthy(config.masquerade);
  t.deepEqual(families, [4]);
});

test('30-dual-stack.conflist gives out both families and can be asked for GC and STATUS', (t) => {
  const { config, families } = bridgeOf('30-dual-stack.conflist');
  t.true(config.isDefaultGateway);
  t.deepEqual(families, [4, 6]);
  t.true(isAtLeast(readList('30-dual-stack.conflist').cniVersion, '1.1.0'));
});

test('40-static-ptp.conflist gives one container an address of each family, with gateways as ptp needs them', (t) => {
  const { json, list, config } = firstOf('40-static-ptp.conflist');
  t.truthy((config as PtpConfig).masquerade);
  const ips = requireGateways(staticIps(json, list));
  t.deepEqual(
    ips.map(({ address, gateway }) => [address.family, address.contains(gateway)]),
    [
      [4, true],
      [6, true],
    ],
  );
});

test('50-isolated.conflist keeps the pods of a bridge of its own apart', (t) => {
  const { config } = bridgeOf('50-isolated.conflist');
  t.true(config.isDefaultGateway);
  const list = readList('50-isolated.conflist');
  const [, chained = { type: '' }] = list.plugins;
  t.is(chained.type, 'firewall');
  t.is((parsePlugin(list, chained).config as FirewallConfig).ingressPolicy, 'isolated');
});

test('60-tuned.conflist sets parameters of the container and of its interface', (t) => {
  const list = readList('60-tuned.conflist');
  const [, plugin = { type: '' }] = list.plugins;
  const { json, config } = parsePlugin(list, plugin);
  const { sysctls, wanted } = settings({
    config: config as TuningConfig,
    cniVersion: list.cniVersion,
    network: list.name,
    env: {},
    input: Buffer.from(read('60-tuned.conflist')),
    json,
    builtins: () => undefined,
    isDelegate: false,
    attachment: { network: list.name, containerID: 'a', ifName: 'eth0', netns: undefined },
    prevResult: undefined,
  });
  t.deepEqual(
    sysctls.map(({ name }) => name),
    ['net/core/somaxconn', 'net/ipv4/ip_local_port_range', 'net/ipv4/conf/eth0/rp_filter'],
  );
  t.is(wanted.txQLen, 10_000);
});

/** One network with and without further plugins. */
const isFlannel = (name: string): boolean => name.includes('flannel');

test('the lists share neither a bridge nor a network name, but for those of flannel', (t) => {
  const flannels = namesIn('', '.conflist').filter(isFlannel);
  t.deepEqual([...new Set(flannels.map((name) => readList(name).name))], ['cbr0']);
  const others = namesIn('', '.conflist').filter((name) => !isFlannel(name));
  const lists = ['10-flannel.conflist', ...others].map(readList);
  t.is(new Set(lists.map(({ name }) => name)).size, lists.length);
  const names = ['20-bridge', '30-dual-stack', '50-isolated', '60-tuned'].map(
    (name) => `${name}.conflist`,
  );
  const bridges = names.map((name) => bridgeOf(name).config.bridge);
  t.is(new Set(['cni0', ...bridges]).size, names.length + 1);
});

test('10-flannel.conflist is what kube-flannel deploys, without portmap', (t) => {
  const { name, cniVersion, plugins } = readList('10-flannel.conflist');
  t.is(name, 'cbr0');
  t.is(cniVersion, '0.3.1');
  t.deepEqual(plugins[0], {
    type: 'flannel',
    delegate: { hairpinMode: true, isDefaultGateway: true },
  });
});

test('11 and 12 are 10-flannel.conflist with further plugins, which the runtime may ask for more', (t) => {
  const [flannelOnly] = readList('10-flannel.conflist').plugins;
  const portMappings = { type: 'portmap', capabilities: { portMappings: true } };
  const limits = { type: 'bandwidth', capabilities: { bandwidth: true } };
  const plugins = (name: string) => readList(name).plugins;
  t.deepEqual(plugins('11-flannel-portmap.conflist'), [flannelOnly, portMappings]);
  t.deepEqual(plugins('12-flannel-portmap-bandwidth.conflist'), [
    flannelOnly,
    portMappings,
    limits,
  ]);
});

/** network, subnet as the kernel masks it, MTU, whether flanneld masquerades: as the tutorials have it. */
const DEPLOYMENTS: Readonly<Record<string, readonly [string, string, number, boolean]>> = {
  'vxlan-three-nodes.env': ['10.2.0.0/16', '10.2.46.0/24', 1450, false],
  'host-gw.env': ['172.7.0.0/16', '172.7.21.0/24', 1500, false],
  'vxlan-yum.env': ['172.30.0.0/16', '172.30.46.0/24', 1450, false],
  'no-backend.env': ['10.1.0.0/16', '10.1.90.0/24', 1500, false],
  'ip-masq.env': ['10.254.0.0/16', '10.254.72.0/24', 1450, true],
};

test('subnet-env/ has the file of every deployment', (t) => {
  t.deepEqual(namesIn('subnet-env', '').toSorted(), Object.keys(DEPLOYMENTS).toSorted());
});

for (const [name, [network, subnet, mtuBytes, ipMasq]] of Object.entries(DEPLOYMENTS)) {
  const path = join('subnet-env', name);

  test(`${path} says what its tutorial says`, (t) => {
    const env = parseSubnetEnv(read(path), path);
    t.deepEqual(env.networks.map(String), [network]);
    t.deepEqual(env.subnets.map(String), [subnet]);
    t.is(env.mtuBytes, mtuBytes);
    t.is(env.ipMasq, ipMasq);
  });

  test(`${path} and 10-flannel.conflist make a delegate that one of the two masquerades for`, (t) => {
    const { json, cniVersion } = delegate(path);
    const config = parseWith(BridgeConfig, json, 'delegate');
    t.is(config.mtuBytes, mtuBytes);
    t.true(config.isDefaultGateway);
    t.deepEqual(config.masquerade?.nonMasqueradeCIDRs.map(String), ipMasq ? undefined : [network]);
    t.is(hostLocalRanges(json, cniVersion).length, 1);
  });
}

/** What flannel hands to bridge on a node with this subnet.env. */
function delegate(path: string) {
  const list = readList('10-flannel.conflist');
  const [plugin = { type: '' }] = list.plugins;
  const { json, config } = parsePlugin(list, plugin);
  const call: Call<FlannelConfig> = {
    config: config as FlannelConfig,
    cniVersion: list.cniVersion,
    network: list.name,
    env: {},
    input: Buffer.alloc(0),
    json,
    builtins: () => undefined,
    isDelegate: false,
  };
  const built = delegateConfig(call, parseSubnetEnv(read(path), path));
  return { json: built, cniVersion: list.cniVersion };
}

test('README.md tells of every file, and of none that is not there', (t) => {
  const files = [...namesIn('', '.conflist'), ...namesIn('subnet-env', '.env')];
  const told = read('README.md').match(/[\w-]+\.(?:conflist|env)(?=`)/g) ?? [];
  // subnet.env itself is a file of flanneld's.
  const named = new Set(told.filter((name) => name !== 'subnet.env'));
  t.deepEqual([...named].toSorted(), files.toSorted());
});
