import test from 'ava';
import { parseListFile } from '#cmd/cnitool/config.ts';
import { formatInventory } from '#cmd/cnitool/list.ts';

const network = (name: string, file: string, ...types: string[]) => {
  const plugins = types.map((type) => ({ type }));
  const text = JSON.stringify({ name, cniVersion: '1.0.0', plugins });
  return { ...parseListFile(text), file, text };
};

const attachment = (name: string, containerID: string, netns: string, result: object) => ({
  network: name,
  containerID,
  ifName: 'eth0',
  netns,
  cniArgs: [],
  capabilityArgs: {},
  result: { ...result },
});

const dualStack = {
  cniVersion: '1.0.0',
  ips: [{ address: '10.1.0.2/24' }, { address: 'fd00::2/64' }],
};

test('formatInventory() aligns networks and attachments, in the order of the networks', (t) => {
  const networks = [network('red', '/n/1', 'bridge', 'portmap'), network('blue', '/n/2', 'ptp')];
  const cached = [
    attachment('blue', 'c1', '/run/netns/a', dualStack),
    attachment('red', 'c2', '', {}),
    attachment('gone', 'c3', '/n', { cniVersion: '0.2.0', ip4: { ip: '10.2.0.2/24' } }),
  ];
  t.is(
    formatInventory({ folder: '/n', networks, cached }),
    `NETWORK  CNIVERSION  PLUGINS         FILE
red      1.0.0       bridge,portmap  /n/1
blue     1.0.0       ptp             /n/2

NETWORK                  CONTAINERID  IFNAME  NETNS         ADDRESSES
red                      c2           eth0    -             -
blue                     c1           eth0    /run/netns/a  10.1.0.2/24,fd00::2/64
gone (no configuration)  c3           eth0    /n            10.2.0.2/24
`,
  );
});

test('formatInventory() tells of faults, and of what is hidden', (t) => {
  const networks = [
    network('blue', '/n/1', 'ptp'),
    { file: '/n/2', fault: 'no name' },
    network('blue', '/n/3', 'bridge'),
  ];
  const cached = [
    { file: 'blue-c1-eth0', result: undefined, fault: 'torn' },
    { file: 'blue-my-c2-eth0', result: dualStack, fault: '' },
    attachment('blue', 'c3', '/n', { cniVersion: '1.0.0', ips: [{ address: 'x' }] }),
  ];
  const text = formatInventory({ folder: '/n', networks, cached });
  t.regex(text, /^blue +1\.0\.0 +bridge +\/n\/3 \(hidden by \/n\/1\)$/m);
  t.regex(text, /^\/n\/2 cannot be used: no name$/m);
  t.regex(text, /^cache entry blue-c1-eth0 cannot be used: torn$/m);
  t.regex(text, /^blue +my-c2 +eth0 +- +10\.1\.0\.2\/24,fd00::2\/64$/m);
  t.regex(text, /^blue +c3 +eth0 +\/n +unreadable: .*"x"/m);
});

test('formatInventory() says when there is nothing', (t) => {
  t.is(
    formatInventory({ folder: '/n', networks: [], cached: [] }),
    'No networks in /n (NETCONFPATH)\n',
  );
  const networks = [network('blue', '/n/1', 'ptp')];
  t.regex(
    formatInventory({ folder: '/n', networks, cached: [] }),
    /\n\nNo attachments in the cache\n$/,
  );
});
