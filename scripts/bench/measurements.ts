/** Everything that the bench measures. */
import { conflist, leases, memory, plugin, pluginAlone } from './calls.ts';
import { dual, loopback, mapping, masquerading, plain } from './chain.ts';
import { kernel, starts } from './floor.ts';
import { filled } from './full-node.ts';
import type { Measurement } from './rows.ts';

/** All measurements by name, in the order of the table. */
export const MEASUREMENTS: Readonly<Record<string, Measurement>> = {
  starts,
  kernel,
  plain: plugin('plain', 'plain', plain),
  masq: plugin('masq', 'with ipMasq', masquerading),
  'masq-alone': pluginAlone('masq-alone', 'with ipMasq', masquerading),
  dual: plugin('dual', 'with ipMasq, dual stack', dual),
  portmap: plugin('portmap', 'portmap, dual stack', mapping),
  'portmap-alone': pluginAlone('portmap-alone', 'portmap, dual stack', mapping),
  loopback: plugin('loopback', 'loopback', () => loopback),
  conflist,
  leases,
  'memory-masq': memory('memory-masq', 'flannel with ipMasq', masquerading),
  'memory-portmap': memory('memory-portmap', 'portmap', mapping),
  filled,
};
