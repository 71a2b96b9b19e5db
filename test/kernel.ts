/** Kernels differ in what they have: whether the one that the tests run on has it, and skipping a test that needs it. */
import { existsSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import type { TestNode } from './node.ts';

/** Whether there is IPv6: it may have been disabled at boot. */
export const HAS_IPV6 = existsSync('/proc/net/if_inet6');

/** Whether bridges can filter VLANs; a kernel that has this has sub-interfaces of VLANs too. */
export async function canFilterVlans(node: TestNode): Promise<boolean> {
  const ip = ['-n', node.name, 'link'];
  const bridge = ['add', 'probe0', 'type', 'bridge', 'vlan_filtering', '1'];
  const { failed } = await execa('ip', [...ip, ...bridge], { reject: false });
  if (!failed) await execa('ip', [...ip, 'del', 'probe0']);
  return !failed;
}

/** Says that a test is skipped, and why; `npm run test:kernels` counts what says so. */
export function skip(t: ExecutionContext, reason: string): void {
  t.log(`skipped: ${reason}`);
  t.pass();
}
