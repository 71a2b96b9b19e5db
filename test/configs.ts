/** Configurations that several tests start from; their files lie in the test node's folder. */
import type { TestNode } from './node.ts';

/** A bridge with one IPv4 range, the host being the gateway. */
export function bridgeConfig(node: TestNode, more: Readonly<Record<string, unknown>> = {}) {
  return {
    cniVersion: '1.0.0',
    name: 'net1',
    type: 'bridge',
    bridge: 'br0',
    isDefaultGateway: true,
    ipam: ipam(node, ['10.1.0.0/24']),
    ...more,
  };
}

/** host-local with one range set a subnet. */
export const ipam = (node: TestNode, subnets: readonly string[]) => ({
  type: 'host-local',
  dataDir: node.path('networks'),
  ranges: subnets.map((subnet) => [{ subnet }]),
});

/** host-local's part of a configuration, to call it without a plugin that makes interfaces. */
export const hostLocalConfig = (node: TestNode, subnets: readonly string[]) => ({
  cniVersion: '1.0.0',
  name: 'net1',
  type: 'bridge',
  ipam: ipam(node, subnets),
});

/** ptp with one IPv4 range, masquerading. */
export const ptpConfig = (node: TestNode, more: Readonly<Record<string, unknown>> = {}) => ({
  cniVersion: '1.0.0',
  name: 'net1',
  type: 'ptp',
  ipMasq: true,
  ipam: { ...ipam(node, ['10.1.0.0/24']), routes: [{ dst: '0.0.0.0/0' }] },
  ...more,
});

/** static's part of a configuration, to call it without a plugin that makes interfaces. */
export const staticConfig = (more: Readonly<Record<string, unknown>> = {}) => ({
  cniVersion: '1.0.0',
  name: 'net1',
  type: 'ptp',
  ipam: {
    type: 'static',
    addresses: [
      { address: '10.1.0.5/24', gateway: '10.1.0.1' },
      { address: 'fd00:1::5/64', gateway: 'fd00:1::1' },
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    dns: { nameservers: ['10.1.0.1'] },
  },
  ...more,
});

/** A result as bridge answers it, of an interface that there is not. */
const PREV_RESULT = {
  cniVersion: '1.0.0',
  interfaces: [
    { name: 'br0', mac: '02:00:00:00:00:01' },
    { name: 'veth00000001', mac: '02:00:00:00:00:02' },
    { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/run/netns/none' },
  ],
  ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 2 }],
};

/** A chained plugin's configuration with a result that it may go on from. */
export const chainedConfig = (type: string, more: Readonly<Record<string, unknown>> = {}) => ({
  cniVersion: '1.0.0',
  name: 'net1',
  type,
  prevResult: PREV_RESULT,
  ...more,
});

/** subnet.env of a node in a cluster where the delegate masquerades. */
export const SUBNET_ENV = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
`;

/** flannel as kube-flannel deploys it. */
export function flannelConfig(node: TestNode, cniVersion = '0.3.1') {
  return {
    cniVersion,
    name: 'cbr0',
    type: 'flannel',
    subnetFile: node.path('subnet.env'),
    dataDir: node.path('flannel'),
    ipam: { dataDir: node.path('networks') },
    delegate: { hairpinMode: true, isDefaultGateway: true },
  };
}
