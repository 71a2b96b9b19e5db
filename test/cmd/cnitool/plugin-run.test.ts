import test from 'ava';
import { parseListFile } from '#cmd/cnitool/config.ts';
import { pluginConfig } from '#cmd/cnitool/plugin-run.ts';

const ATTACHMENT = { containerID: 'c', ifName: 'eth0', netns: '/n', cniArgs: [] };

/** What a plugin with this object is given, in the network "blue" of version 1.0.0. */
function configFor(
  plugin: object,
  capabilityArgs: Readonly<Record<string, unknown>> = {},
  prevResult?: object,
) {
  const list = { name: 'blue', cniVersion: '1.0.0', plugins: [plugin] };
  const network = { ...parseListFile(JSON.stringify(list)), file: 'f', text: 't' };
  const [entry] = network.plugins;
  if (entry === undefined) throw new Error('no plugin');
  const attachment = { ...ATTACHMENT, capabilityArgs };
  const run = { network, attachment, prevResult: prevResult && { ...prevResult } };
  return pluginConfig(entry, run);
}

test('pluginConfig() sets name and version in place of the own ones, in any letters', (t) => {
  const plugin = { type: 'x', name: 'own', CNIVERSION: '0.1.0', cniversion: '0.2.0', mtu: 9 };
  t.deepEqual(configFor(plugin), { type: 'x', mtu: 9, cniVersion: '1.0.0', name: 'blue' });
});

test('pluginConfig() passes those capability arguments that are declared true', (t) => {
  const capabilities = { mac: true, ips: false, bandwidth: true, aliases: null };
  const args = { mac: 'm', ips: ['i'], portMappings: [], aliases: [] };
  t.deepEqual(configFor({ type: 'x', capabilities }, args)['runtimeConfig'], { mac: 'm' });
});

test('pluginConfig() leaves runtimeConfig alone when no argument fits', (t) => {
  const capabilities = { mac: true };
  t.false('runtimeConfig' in configFor({ type: 'x', capabilities }, { ips: [] }));
  const own = { type: 'x', capabilities, runtimeConfig: { a: 1 } };
  t.deepEqual(configFor(own, {})['runtimeConfig'], { a: 1 });
});

test('pluginConfig() has a prevResult only if there is one', (t) => {
  t.false('prevResult' in configFor({ type: 'x' }));
  t.deepEqual(configFor({ type: 'x' }, {}, { ips: [] })['prevResult'], { ips: [] });
});
