/** Everything that reads what others wrote, without a system: it reads it, or fails as it is meant to. */
import * as fc from 'fast-check';
import {
  parseListFile,
  parsePluginFile,
  parseCacheFile,
  parseCapabilityArgs,
} from '#cmd/cnitool/config.ts';
import { parseCniArgs } from '#cmd/cnitool/attachment.ts';
import { parseArguments, UsageError } from '#cmd/cnitool/arguments.ts';
import { findPlugin } from '#cmd/cni-suite/programs.ts';
import { macArgument, parseArgs } from '#lib/cni/args.ts';
import { parseConfig } from '#lib/cni/config.ts';
import { parseEnvironment } from '#lib/cni/environment.ts';
import { duplicateKeys } from '#lib/cni/duplicate-keys.ts';
import { encodeResult, parseResult, parseResultOfAnyVersion } from '#lib/cni/result.ts';
import { parseSubnetEnv } from '#lib/flannel/subnet-env.ts';
import { parseSandbox } from '#lib/ownership/sandbox.ts';
import { parseWith } from '#lib/cni/schema.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { parseResolvConf } from '#plugins/host-local/resolv-conf.ts';
import { staticAnswer, type StaticConfig } from '#plugins/static/config.ts';
import { parseAllowList } from '#plugins/tuning/allow-list.ts';
import { decodeBackup } from '#plugins/tuning/backup.ts';
import { settings, type TuningConfig } from '#plugins/tuning/config.ts';
import { succeedsOrFailsCleanly } from './clean.ts';
import { configs, type Json, RESULTS, SUBNET_ENV } from './configs.ts';
import { fuzzProperty, type FuzzProperty } from './property.ts';
import { damaged, hostileDocument, hostileText } from './values.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function readConfig(plugin: string, input: Uint8Array, args: string): void {
  const { json, network, prevResult } = parseConfig(input);
  const own = findPlugin(plugin);
  if (own === undefined) throw new Error(`There is no plugin ${plugin}`);
  // What DEL and GC read refuses nothing.
  mustNotThrow(() => parseWith(own.teardown, json, 'config'));
  const config = parseWith(own.config, json, 'config') as unknown;
  if (prevResult !== undefined) parseResult(prevResult, '1.1.0', 'prevResult');
  const attachment = { network, containerID: 'cid1', ifName: 'eth0', netns: undefined };
  const call = { json, input, network, env: { CNI_ARGS: args }, cniVersion: '1.1.0' } as const;
  const rest = { prevResult: undefined, attachment, builtins: findPlugin, isDelegate: false };
  if (plugin === 'static') staticAnswer({ ...call, config: config as StaticConfig });
  if (plugin === 'tuning') settings({ ...call, ...rest, config: config as TuningConfig });
}

/** A failure of what may not fail, in whatever clean way. */
function mustNotThrow(body: () => void): void {
  try {
    body();
  } catch (error) {
    throw new Error(`It refuses: ${String(error)}`, { cause: error });
  }
}

const argsText = fc.oneof(
  hostileText,
  fc
    .array(
      fc.tuple(
        fc.oneof(
          fc.constantFrom('IP', 'GATEWAY', 'MAC', 'IgnoreUnknown', 'K8S_POD_NAME'),
          hostileText,
        ),
        hostileText,
      ),
      { maxLength: 4 },
    )
    .map((pairs) => pairs.map((pair) => pair.join('=')).join(';')),
);

const configProperties = Object.entries(configs('/run/fuzz')).map(
  ([plugin, list]): FuzzProperty => {
    const example = fc.oneof(...list.map((config) => hostileDocument(config)));
    return fuzzProperty(
      `the configuration of ${plugin}`,
      200,
      fc.property(example, argsText, (input, args) => {
        succeedsOrFailsCleanly(() => readConfig(plugin, input, args));
      }),
    );
  },
);

const anyVersion = fc.constantFrom(...SPEC_VERSIONS);
const anyResult = fc.oneof(...Object.values(RESULTS).map((result) => hostileDocument(result)));

const results = fuzzProperty(
  'results of every version, and the way from one to the other',
  800,
  fc.property(anyResult, anyVersion, anyVersion, (input, from, to) => {
    succeedsOrFailsCleanly(() => {
      const { json } = parseConfig(Buffer.from(`{"name":"x","r":${text(input)}}`));
      const result = parseResultOfAnyVersion(json['r'], from, 'result');
      // What was read can be written, and read again.
      const again = parseResult(JSON.parse(encodeResult(result, to)), to, 'result');
      encodeResult(again, to);
    });
  }),
);

const variable = fc.option(hostileText, { nil: undefined });
const environmentVariables = fuzzProperty(
  'the environment',
  800,
  fc.property(
    fc.record({
      CNI_COMMAND: fc.oneof(
        fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'),
        variable,
      ),
      CNI_CONTAINERID: variable,
      CNI_NETNS: variable,
      CNI_IFNAME: variable,
      CNI_ARGS: fc.option(argsText, { nil: undefined }),
      CNI_PATH: variable,
    }),
    (env) => {
      succeedsOrFailsCleanly(() => {
        const { containerID, ifName } = parseEnvironment(env);
        // What is taken becomes the name of a file.
        if (/[/\0\n]/.test(containerID + ifName) && env.CNI_COMMAND === 'ADD')
          throw new Error('It climbs');
      });
      succeedsOrFailsCleanly(() => macArgument(env));
      succeedsOrFailsCleanly(() => parseArgs(env.CNI_ARGS ?? '', ['IP']));
      succeedsOrFailsCleanly(() => parseCniArgs(env.CNI_ARGS ?? ''));
    },
  ),
);

/** A text that was right, damaged, and who reads it. */
const reader = (name: string, example: string, read: (input: string) => unknown): FuzzProperty =>
  fuzzProperty(
    name,
    200,
    fc.property(damaged(damaged(fc.constant(Buffer.from(example)))), hostileText, (bytes, more) => {
      succeedsOrFailsCleanly(() => read(text(bytes)));
      succeedsOrFailsCleanly(() => read(text(bytes).replace(/[\w.:/]+$/m, () => more)));
    }),
  );

/** The same for a document. */
const documentReader = (
  name: string,
  example: Json,
  read: (input: string) => unknown,
): FuzzProperty =>
  fuzzProperty(
    name,
    200,
    fc.property(hostileDocument(example), (bytes) => {
      succeedsOrFailsCleanly(() => read(text(bytes)));
    }),
  );

const BACKUP = {
  mac: '02:00:00:00:00:01',
  promisc: false,
  mtu: 1500,
  allmulti: false,
  txQLen: 0,
  cniSuite: { network: 'net1', sandbox: 'netns 4:40 /run/netns/a' },
};

const CACHE_FILE = {
  kind: 'cniCacheV1',
  containerId: 'cnitool-1',
  config: 'e30=',
  ifName: 'eth0',
  networkName: 'net1',
  netns: '/run/netns/a',
  cniArgs: [['K', 'V']],
  capabilityArgs: { mac: 'x' },
  result: RESULTS['1.1.0'],
};

const LIST_FILE = {
  cniVersion: '1.1.0',
  cniVersions: ['0.4.0', '1.0.0'],
  name: 'net1',
  disableCheck: 'true',
  disableGC: false,
  loadOnlyInlinedPlugins: false,
  plugins: [
    { type: 'bridge', capabilities: { mac: true } },
    { type: 'portmap', name: 'x' },
  ],
};

const RESOLV_CONF =
  '# by hand\nnameserver 10.1.0.1\nsearch a.b c.d\ndomain x\noptions ndots:5 rotate\n';
const ALLOW_LIST = '^net\\.core\\.somaxconn$\n\n^net/ipv4/(conf/eth[0-9]+/.*|ip_forward)$\n';

const commandLine = fuzzProperty(
  "cnitool's command line",
  400,
  fc.property(
    fc.array(
      fc.oneof(
        fc.constantFrom('add', 'gc', 'list', '-i', '--ifname', '-i=', '--', '-h'),
        hostileText,
      ),
      { maxLength: 5 },
    ),
    (args) => {
      try {
        parseArguments(args);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
      }
    },
  ),
);

/** All that need no system. */
export const PARSERS: readonly FuzzProperty[] = [
  ...configProperties,
  results,
  environmentVariables,
  commandLine,
  reader('subnet.env', SUBNET_ENV, (input) => parseSubnetEnv(input, '/run/flannel/subnet.env')),
  reader('resolv.conf', RESOLV_CONF, parseResolvConf),
  reader('the list of allowed sysctls', ALLOW_LIST, (input) => parseAllowList(input, '/etc/x')),
  reader('what is known of a sandbox', 'netns 4:4026532000:17 /run/netns/a', parseSandbox),
  documentReader("tuning's backups", BACKUP, decodeBackup),
  documentReader("cnitool's cache files", CACHE_FILE, parseCacheFile),
  documentReader('network lists', LIST_FILE, parseListFile),
  documentReader('files of one plugin', { ...frameOf(LIST_FILE), type: 'bridge' }, parsePluginFile),
  documentReader('CAP_ARGS', { mac: 'x', portMappings: [{ hostPort: 1 }] }, parseCapabilityArgs),
  documentReader('keys that come twice', LIST_FILE, (input) => {
    parseConfig(Buffer.from(input));
    duplicateKeys(input);
  }),
];

function frameOf({ cniVersion, name }: typeof LIST_FILE): Json {
  return { cniVersion, name };
}
