/** Configurations that are right: what the properties start from. Their files lie below a folder of the caller's. */
import { join } from 'node:path';

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** The namespace of the one pod. */
export const POD = '/run/netns/pod';

/** The namespace of a pod that has an interface already: what chained plugins work on. */
export const CHAINED_POD = '/run/netns/chained';

const MAC = '02:00:00:00:00:07';

/** Results of other plugins in the shape of every version. */
export const RESULTS: Readonly<Record<string, Json>> = {
  '0.2.0': {
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
    ip6: { ip: 'fd00:1::2/64', gateway: 'fd00:1::1' },
    dns: { nameservers: ['10.1.0.1'], search: ['x.y'] },
  },
  '0.4.0': {
    cniVersion: '0.4.0',
    interfaces: [
      { name: 'br1', mac: MAC },
      { name: 'eth0', mac: MAC, sandbox: CHAINED_POD },
    ],
    ips: [{ version: '4', address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: {},
  },
  '1.1.0': {
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'br1', mac: MAC, mtu: 1500 },
      { name: 'veth00000001', mac: MAC, pciID: '', socketPath: '' },
      { name: 'eth0', mac: MAC, sandbox: CHAINED_POD },
    ],
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 2 },
      { address: 'fd00:1::2/64', interface: 2 },
    ],
    routes: [
      {
        dst: '0.0.0.0/0',
        gw: '10.1.0.1',
        mtu: 1400,
        advmss: 1300,
        priority: 1,
        table: 254,
        scope: 0,
      },
    ],
    dns: { nameservers: ['10.1.0.1'], domain: 'x', search: ['x.y'], options: ['ndots:5'] },
  },
};

/** A subnet.env of a node with both families. */
export const SUBNET_ENV = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=fd00:2::/48
FLANNEL_IPV6_SUBNET=fd00:2:0:1::1/64
FLANNEL_MTU=1400
FLANNEL_IPMASQ=false
`;

const frame = { cniVersion: '1.1.0', name: 'net1' };

const ipam = (folder: string) => ({
  type: 'host-local',
  dataDir: join(folder, 'networks'),
  ranges: [
    [
      {
        subnet: '10.1.0.0/24',
        rangeStart: '10.1.0.10',
        rangeEnd: '10.1.0.20',
        gateway: '10.1.0.1',
      },
    ],
    [{ subnet: 'fd00:1::/64' }],
  ],
  routes: [
    { dst: '0.0.0.0/0', mtu: 1400, priority: 7 },
    { dst: 'fd00:9::/64', gw: 'fd00:1::1' },
  ],
});

const chained = (type: string, keys: Json): Json => ({
  ...frame,
  type,
  ...keys,
  prevResult: RESULTS['1.1.0'],
});

/** The plugins' own, by plugin; with `bridge` up to `tuning` all keys that there are. */
export const configs = (folder: string): Readonly<Record<string, readonly Json[]>> => ({
  bridge: [
    {
      ...frame,
      type: 'bridge',
      bridge: 'br0',
      isDefaultGateway: true,
      ipMasq: true,
      ipam: ipam(folder),
    },
    {
      ...frame,
      type: 'bridge',
      bridge: 'br0',
      isGateway: true,
      forceAddress: true,
      hairpinMode: true,
      mtu: 1400,
      macspoofchk: true,
      enabledad: false,
      portIsolation: true,
      nonMasqueradeCIDRs: ['10.0.0.0/8'],
      ipMasqBackend: 'nftables',
      dns: { domain: 'x' },
      runtimeConfig: { mac: MAC },
      args: { cni: { mac: MAC } },
      ipam: ipam(folder),
    },
    {
      ...frame,
      type: 'bridge',
      vlan: 0,
      vlanTrunk: [],
      promiscMode: true,
      disableContainerInterface: true,
    },
  ],
  ptp: [
    { ...frame, type: 'ptp', ipMasq: true, mtu: 1400, ipam: ipam(folder), dns: { search: ['x'] } },
  ],
  flannel: [
    {
      ...frame,
      type: 'flannel',
      subnetFile: join(folder, 'subnet.env'),
      dataDir: join(folder, 'flannel'),
      ipam: { dataDir: join(folder, 'networks'), routes: [{ dst: '10.9.0.0/16' }] },
      delegate: { hairpinMode: true, isDefaultGateway: true, bridge: 'br0' },
      runtimeConfig: { mac: MAC },
    },
  ],
  'host-local': [
    {
      ...frame,
      type: 'x',
      ipam: { ...ipam(folder), resolvConf: join(folder, 'resolv.conf') },
      runtimeConfig: { ipRanges: [[{ subnet: '10.3.0.0/24' }]], ips: ['10.3.0.9'] },
      args: { cni: { ips: ['10.1.0.11'] } },
    },
    {
      ...frame,
      type: 'x',
      ipam: { type: 'host-local', dataDir: join(folder, 'networks'), subnet: '10.4.0.0/24' },
    },
  ],
  static: [
    {
      ...frame,
      type: 'x',
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00:1::5/64' }],
        routes: [{ dst: '0.0.0.0/0' }],
        dns: { nameservers: ['10.1.0.1'] },
      },
      runtimeConfig: { ips: [] },
      args: { cni: { ips: [] } },
    },
  ],
  loopback: [{ ...frame, type: 'loopback' }],
  portmap: [
    chained('portmap', {
      backend: 'nftables',
      snat: true,
      masqAll: false,
      markMasqBit: 14,
      conditionsV4: ['ip', 'saddr', '!=', '10.9.0.0/16'],
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '10.0.0.1' },
          { HostPort: 8053, ContainerPort: 53, Protocol: 'UDP' },
        ],
      },
    }),
    chained('portmap', {
      backend: 'iptables',
      externalSetMarkChain: 'MARKS',
      conditionsV4: ['-s', '10.9.0.0/16'],
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80 }] },
    }),
  ],
  bandwidth: [
    chained('bandwidth', {
      ingressRate: 1_000_000,
      ingressBurst: 100_000,
      egressRate: 2_000_000,
      egressBurst: 100_000,
    }),
    chained('bandwidth', {
      runtimeConfig: { bandwidth: { IngressRate: 8_000, IngressBurst: 8_000 } },
    }),
  ],
  firewall: [
    chained('firewall', {
      dataDir: join(folder, 'firewall'),
      backend: 'iptables',
      iptablesAdminChainName: 'ADMIN',
    }),
    chained('firewall', {
      dataDir: join(folder, 'firewall'),
      ingressPolicy: 'isolated',
      firewalldZone: 'trusted',
    }),
  ],
  tuning: [
    chained('tuning', {
      dataDir: join(folder, 'tuning'),
      sysctl: { 'net.core.somaxconn': '77', 'net.ipv4.conf.IFNAME.rp_filter': '0' },
      mac: MAC,
      mtu: 1400,
      promisc: true,
      allmulti: true,
      txQLen: 50,
      runtimeConfig: { mac: MAC },
      args: { cni: { mtu: 1300, sysctl: { 'net/core/somaxconn': '78' } } },
    }),
  ],
});
