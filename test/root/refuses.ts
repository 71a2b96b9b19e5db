/** What tests of bad input share. */
import test from 'ava';
import {
  bridgeConfig,
  chainedConfig,
  flannelConfig,
  hostLocalConfig,
  ipam,
  ptpConfig,
  staticConfig,
  SUBNET_ENV,
} from '#test/configs.ts';
import { type CallOptions, TestNode } from '#test/node.ts';

/** A call that must be refused: by which code, with which words in message or details. */
export interface BadCall {
  readonly code: number;
  readonly message: RegExp;
  readonly command?: string;
  /** Changes to a call that would succeed. */
  readonly call?: Partial<CallOptions> | ((node: TestNode) => Partial<CallOptions>);
}

/** The call is answered by one JSON error, exit 1; nothing is made or changed. */
export const refuses = test.macro(
  async (t, plugin: string, { code, message, command = 'ADD', call = {} }: BadCall) => {
    await using node = await TestNode.create();
    node.writeFile('subnet.env', SUBNET_ENV);
    const netns = await node.addPod('a');
    const configs: Readonly<Record<string, object>> = {
      flannel: flannelConfig(node),
      bridge: bridgeConfig(node),
      'host-local': hostLocalConfig(node, ['10.1.0.0/24']),
      loopback: { cniVersion: '1.0.0', name: 'net1', type: 'loopback' },
      static: staticConfig(),
      ptp: ptpConfig(node),
    };
    const own = configs[plugin] ?? chainedConfig(plugin);
    const changes = typeof call === 'function' ? call(node) : call;
    const answer = await node.call(command, { plugin, config: own, netns, ...changes });
    t.is(answer.exitCode, 1, answer.stdout);
    t.is(answer.json?.code, code, answer.stdout);
    t.regex(`${answer.json.msg} | ${answer.json.details ?? ''}`, message);
    t.notRegex(answer.stdout + answer.stderr, /\n\s+at |Error:|undefined/);
    t.deepEqual(await node.links(), []);
    t.is(await node.rules(), '');
    t.deepEqual(await node.ip('link show eth0', netns).catch(() => []), []);
    t.deepEqual(
      node.files('.').filter((name) => name !== 'subnet.env' && !name.startsWith('empty')),
      [],
    );
  },
);

/** Changes the configuration of a call. */
export const config = (change: (node: TestNode) => unknown) => (node: TestNode) => {
  const changed = change(node);
  return { config: typeof changed === 'string' ? changed : (changed as object) };
};

/** bridge with further keys. */
export const bridgeWith = (more: Record<string, unknown>) =>
  config((node) => bridgeConfig(node, more));
/** host-local with these range sets. */
export const rangesWith = (...ranges: unknown[]) =>
  config((node) => ({ ...hostLocalConfig(node, []), ipam: { ...ipam(node, []), ranges } }));
/** static with a section `ipam` of its own. */
export const staticWith = (section: object) => config(() => staticConfig({ ipam: section }));

/** A chained plugin's configuration with further keys; undefined takes one out. */
export const chainedWith = (type: string, more: Record<string, unknown>) =>
  config(() => chainedConfig(type, more));
