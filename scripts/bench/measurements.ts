/** Everything that the bench measures. */
import { conflist, leases, memory, plugin } from './calls.ts';
import { connecting, dualStack, loopback, mappings, portmap } from './chain.ts';
import { kernel, starts } from './floors.ts';
import { filled } from './full-node.ts';
import type { Measurement } from './rows.ts';

/** All measurements by name, in the order of the table. */
export const MEASUREMENTS: Readonly<Record<string, Measurement>> = {
  starts,
  kernel,
  plain: plugin('plain', 'plain', (side) => connecting(side, false)),
  masq: plugin('masq', 'with ipMasq', (side) => connecting(side, true)),
  portmap: plugin('portmap', 'portmap, dual stack', () => portmap(mappings(8080, 8053), dualStack)),
  loopback: plugin('loopback', 'loopback', () => loopback),
  conflist,
  leases,
  memory,
  filled,
};
