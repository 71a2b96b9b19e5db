/** The LAN and the machines on it, as an administrator and flanneld leave them before the first pod comes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addNetns, ip } from '#scripts/world/command.ts';
import { CLUSTER, type Host, LAN_BITS, MTU_BYTES, type Node, NODES, OUTSIDE } from './plan.ts';

/** The namespace of the switch: a bridge that all machines' cables end at. */
const SWITCH = 'lan';
const BRIDGE = 'switch';

/** Makes namespaces, cables, addresses, routes and each node's subnet.env. @throws ScriptFailure */
export function layLan(): void {
  for (const name of [
    SWITCH,
    OUTSIDE.name,
    ...NODES.flatMap((node) => [node.name, ...node.pods]),
  ]) {
    addNetns(name);
  }
  ip('-n', SWITCH, 'link', 'add', BRIDGE, 'up', 'type', 'bridge');
  for (const host of [...NODES, OUTSIDE]) plugIn(host);
  for (const node of NODES) {
    writeSubnetEnv(node);
    routeToOthers(node);
  }
}

/** Both ends are born where they belong: the cable is never seen anywhere else. */
function plugIn({ name, address }: Host): void {
  const far = ['peer', 'name', 'eth0', 'netns', name];
  ip('-n', SWITCH, 'link', 'add', name, 'master', BRIDGE, 'up', 'type', 'veth', ...far);
  ip('-n', name, 'address', 'add', `${address}/${LAN_BITS}`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
}

/** As flanneld writes it with backend host-gw, not told to masquerade. */
function writeSubnetEnv({ folder, gateway }: Node): void {
  mkdirSync(folder, { recursive: true });
  const lines = [
    `FLANNEL_NETWORK=${CLUSTER}`,
    `FLANNEL_SUBNET=${gateway}`,
    `FLANNEL_MTU=${MTU_BYTES}`,
    'FLANNEL_IPMASQ=false',
  ];
  writeFileSync(join(folder, 'subnet.env'), lines.map((line) => `${line}\n`).join(''));
}

/** What the backend host-gw is: other nodes' pods are reached through those nodes' addresses. */
function routeToOthers(node: Node): void {
  for (const { name, subnet, address } of NODES) {
    if (name !== node.name) ip('-n', node.name, 'route', 'add', subnet, 'via', address);
  }
}
