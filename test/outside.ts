/** Another machine beside the node of a test. */
import type { TestNode } from './node.ts';

const nodad = (address: string): string[] => (address.includes(':') ? ['nodad'] : []);

/**
 * Joins another namespace to the node's by a veth pair, the node being its way to the pods: addresses of it and of the
 * node, a pair for each family, with the length of their subnet. @returns its path
 */
export async function addOutside(
  node: TestNode,
  ...pairs: readonly (readonly [address: string, nodeAddress: string])[]
): Promise<string> {
  const outside = await node.addPod('outside');
  const name = outside.slice('/run/netns/'.length);
  const peer = ['type', 'veth', 'peer', 'name', 'lan0', 'netns', name];
  await node.run('ip', ['link', 'add', 'lan0', ...peer]);
  for (const [address, nodeAddress] of pairs) {
    await node.run('ip', ['addr', 'add', nodeAddress, 'dev', 'lan0', ...nodad(nodeAddress)]);
    await node.run('ip', ['addr', 'add', address, 'dev', 'lan0', ...nodad(address)], outside);
  }
  await node.run('ip', ['link', 'set', 'lan0', 'up']);
  await node.run('ip', ['link', 'set', 'lan0', 'up'], outside);
  for (const [, nodeAddress] of pairs) {
    const [gateway = ''] = nodeAddress.split('/');
    await node.run('ip', ['route', 'add', 'default', 'via', gateway], outside);
  }
  return outside;
}
