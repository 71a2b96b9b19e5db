/** Files of state that somebody spoilt between ADD and DEL: nobody is held up for ever, nothing outside of them is touched. */
import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { deleteResult, listCache, loadResult, saveResult } from '#cmd/cnitool/cache.ts';
import { call, type Input, onCleanNode, podOf, startAnew, succeed } from './calls.ts';
import { succeedsOrFailsCleanly } from './clean.ts';
import { configs, type Json, RESULTS } from './configs.ts';
import { fuzzProperty, type FuzzProperty } from './property.ts';
import { hostileDocument, hostileJson } from './values.ts';
import { FOLDER, VICTIM } from './world.ts';

/** What becomes of a file. */
const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.record({
    what: fc.constantFrom(
      'folder',
      'pipe',
      'link',
      'loop',
      'dangling',
      'gone',
      'empty',
      'cut',
      'device',
    ),
  }),
  fc.record({ what: fc.constant('bytes'), bytes: fc.uint8Array({ maxLength: 60 }) }),
  fc.record({
    what: fc.constant('json'),
    bytes: hostileJson.map((value) => Buffer.from(JSON.stringify(value))),
  }),
  fc.record({ what: fc.constant('deep'), bytes: fc.constant(Buffer.from('{"a":'.repeat(50_000))) }),
);
interface Fate {
  readonly what: string;
  readonly bytes?: Uint8Array;
}

/** Puts something in the place of a file. */
const REPLACEMENTS: Readonly<Record<string, (path: string) => void>> = {
  folder: (path) => mkdirSync(path),
  pipe: (path) => void spawnSync('mkfifo', [path]),
  device: (path) => void spawnSync('mknod', [path, 'c', '1', '5']),
  link: (path) => symlinkSync(VICTIM, path),
  loop: (path) => symlinkSync(path, path),
  dangling: (path) => symlinkSync('/run/nothing', path),
  empty: (path) => writeFileSync(path, ''),
  gone() {},
};

function spoil(path: string, { what, bytes }: Fate): void {
  if (what === 'cut') {
    truncateSync(path, Math.floor(lstatSync(path).size / 2));
    return;
  }
  rmSync(path, { recursive: true, force: true });
  if (bytes === undefined) REPLACEMENTS[what]?.(path);
  else writeFileSync(path, bytes);
}

/** Whatever is below the folder of state, but for what was written there for plugins to read. */
function stateFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !/^(subnet\.env|resolv\.conf)$/.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted();
}

function requireUntouchedVictim(): void {
  if (readFileSync(VICTIM, 'utf8') !== 'nobody reads this')
    throw new Error('The victim was written to');
}

/** A call that succeeds. */
function soundInput(plugin: string): Input {
  const [config] = configs(FOLDER)[plugin] ?? [];
  const parameters = { containerID: 'cid1', netns: podOf(plugin), ifName: 'eth0' };
  return { plugin, parameters, config: Buffer.from(JSON.stringify(config)) };
}

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'];

/** Plugins that keep something; flannel's calls keep what bridge and host-local keep, too. */
const spoiltState = ['flannel', 'host-local', 'firewall', 'tuning', 'portmap'].map(
  (plugin): FuzzProperty =>
    fuzzProperty(
      `spoilt state of ${plugin}`,
      2,
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 100 }), fate), { minLength: 1, maxLength: 2 }),
        fc.array(fc.constantFrom(...COMMANDS), { minLength: 1, maxLength: 3 }),
        (fates, commands) => {
          onCleanNode(plugin, () => {
            const input = soundInput(plugin);
            succeed('ADD', input);
            for (const [which, one] of fates) {
              const files = stateFiles(FOLDER);
              const path = files[which % Math.max(files.length, 1)];
              if (path !== undefined) spoil(path, one);
            }
            for (const command of commands) {
              requireNoSecret(call(command, input));
              requireUntouchedVictim();
            }
          });
          startAnew();
        },
      ),
    ),
);

function requireNoSecret(outcome: object): void {
  if (JSON.stringify(outcome).includes('nobody')) throw new Error('The victim was read');
}

const ATTACHMENT = {
  containerID: 'cid1',
  ifName: 'eth0',
  netns: '',
  cniArgs: [],
  capabilityArgs: {},
};

const NETWORK = {
  name: 'net1',
  cniVersion: '1.1.0',
  disableCheck: false,
  disableGC: false,
  loadOnlyInlinedPlugins: false,
  plugins: [],
  file: '/etc/cni/net.d/x',
  text: '{}',
};

const CACHE_FILE: Json = {
  kind: 'cniCacheV1',
  containerId: 'cid1',
  ifName: 'eth0',
  networkName: 'net1',
  netns: '/run/netns/a',
  result: RESULTS['1.1.0'],
};

const spoiltCache = fuzzProperty(
  "a spoilt cache of cnitool's",
  40,
  fc.property(
    fc.oneof(
      fate,
      hostileDocument(CACHE_FILE).map((bytes): Fate => ({ what: 'bytes', bytes })),
    ),
    (one) => {
      onCleanNode('cnitool', () => {
        const folder = join(FOLDER, 'cache');
        saveResult(folder, NETWORK, ATTACHMENT, RESULTS['1.1.0'] ?? {});
        for (const path of stateFiles(folder)) spoil(path, one);
        succeedsOrFailsCleanly(() => loadResult(folder, { name: 'net1' }, ATTACHMENT));
        for (const entry of listCache(folder)) {
          // What is deleted is what was listed.
          if ('containerID' in entry) deleteResult(folder, { name: entry.network }, entry);
        }
        succeedsOrFailsCleanly(() => saveResult(folder, NETWORK, ATTACHMENT, {}));
        deleteResult(folder, { name: 'net1' }, ATTACHMENT);
        requireUntouchedVictim();
        rmSync(folder, { recursive: true });
      });
    },
  ),
);

/** All properties of state. */
export const STATE: readonly FuzzProperty[] = [...spoiltState, spoiltCache];
