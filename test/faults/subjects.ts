/** The plugins as the harness calls them: each with a configuration that makes all that it can make. */
import { bridgeConfig, flannelConfig, ipam, ptpConfig, staticConfig } from '#test/configs.ts';
import type { TestNode } from '#test/node.ts';

/** A plugin and how it is configured. */
export interface Subject {
  readonly title: string;
  readonly plugin: string;
  /** Its configuration; a chained plugin's gets the result of a bridge as prevResult. */
  readonly config: (node: TestNode) => Readonly<Record<string, unknown>>;
  readonly isChained?: boolean;
}

const SUBNETS = ['10.1.0.0/24', 'fd00:1::/64'];

const chained = (title: string, plugin: string, keys: object): Subject => ({
  title,
  plugin,
  isChained: true,
  config: () => ({ cniVersion: '1.0.0', name: 'net1', type: plugin, ...keys }),
});

const PORTS = {
  runtimeConfig: {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 8053, containerPort: 53, protocol: 'udp' },
    ],
  },
};

const bridge = (node: TestNode, more: object) =>
  bridgeConfig(node, { ipam: ipam(node, SUBNETS), ipMasq: true, hairpinMode: true, ...more });

/** All of them. */
export const SUBJECTS: readonly Subject[] = [
  {
    title: 'loopback',
    plugin: 'loopback',
    config: () => ({ cniVersion: '1.0.0', name: 'net1', type: 'loopback' }),
  },
  {
    title: 'host-local',
    plugin: 'host-local',
    config: (node) => ({ ...bridgeConfig(node), ipam: ipam(node, SUBNETS) }),
  },
  { title: 'static', plugin: 'static', config: () => staticConfig() },
  {
    title: 'bridge, ipMasq, macspoofchk',
    plugin: 'bridge',
    config: (node) => bridge(node, { macspoofchk: true }),
  },
  {
    title: 'bridge, ipMasq by iptables',
    plugin: 'bridge',
    config: (node) => bridge(node, { ipMasqBackend: 'iptables' }),
  },
  {
    title: 'ptp, ipMasq',
    plugin: 'ptp',
    config: (node) =>
      ptpConfig(node, { ipam: { ...ipam(node, SUBNETS), routes: [{ dst: '0.0.0.0/0' }] } }),
  },
  {
    title: 'flannel → bridge → host-local',
    plugin: 'flannel',
    config: (node) => flannelConfig(node, '1.0.0'),
  },
  chained('portmap, nftables', 'portmap', PORTS),
  chained('portmap, iptables', 'portmap', { ...PORTS, backend: 'iptables' }),
  chained('bandwidth', 'bandwidth', {
    ingressRate: 8_000_000,
    ingressBurst: 80_000,
    egressRate: 8_000_000,
    egressBurst: 80_000,
  }),
  chained('firewall, iptables', 'firewall', { backend: 'iptables', ingressPolicy: 'same-bridge' }),
  chained('tuning', 'tuning', {
    sysctl: { 'net.ipv4.conf.IFNAME.arp_ignore': '1' },
    mac: '02:00:00:00:00:99',
    mtu: 1300,
    promisc: true,
  }),
];
