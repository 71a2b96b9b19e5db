/** Routes that an IPAM plugin answers, in every form: the kernel has what was asked for, CHECK finds what ADD made. */
import test from 'ava';
import { staticConfig } from '#test/configs.ts';
import { TestNode, withResult } from '#test/node.ts';

/** A route as the configuration has it, and as `ip route show` has it afterwards. */
interface Case {
  readonly route: object;
  readonly shown: object;
  readonly plugins?: readonly string[];
}

const CASES: Readonly<Record<string, Case>> = {
  'through the gateway of the address': {
    route: { dst: '192.0.2.0/24' },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1' },
  },
  'through a gateway of its own': {
    route: { dst: '192.0.2.0/24', gw: '10.1.0.1' },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1' },
  },
  'through a neighbour, which only a bridge has': {
    route: { dst: '192.0.2.0/24', gw: '10.1.0.9' },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.9' },
    plugins: ['bridge'],
  },
  'with host bits': {
    route: { dst: '192.0.2.7/24' },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1' },
  },
  'on the link, by 0.0.0.0': {
    route: { dst: '192.0.2.0/24', gw: '0.0.0.0' },
    shown: { dst: '192.0.2.0/24', scope: 'link', gateway: undefined },
  },
  'on the link, by its scope': {
    route: { dst: '192.0.2.0/24', scope: 253 },
    shown: { dst: '192.0.2.0/24', scope: 'link', gateway: undefined },
  },
  'of the host, by its scope': {
    route: { dst: '192.0.2.7/32', scope: 254 },
    shown: { dst: '192.0.2.7', scope: 'host', gateway: undefined },
  },
  'with a global scope': {
    route: { dst: '192.0.2.0/24', scope: 0 },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1' },
  },
  'with metric, MTU and MSS': {
    route: { dst: '192.0.2.0/24', priority: 50, mtu: 1300, advmss: 1200 },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1', metric: 50 },
  },
  'in a table': {
    route: { dst: '192.0.2.0/24', table: 100 },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1', table: '100' },
  },
  'in a table whose number takes more than a byte': {
    route: { dst: '192.0.2.0/24', table: 1000 },
    shown: { dst: '192.0.2.0/24', gateway: '10.1.0.1', table: '1000' },
  },
  'the default': {
    route: { dst: '0.0.0.0/0' },
    shown: { dst: 'default', gateway: '10.1.0.1' },
  },
  'of IPv6': {
    route: { dst: 'fd00:2::/64' },
    shown: { dst: 'fd00:2::/64', gateway: 'fd00:1::1' },
  },
  'of IPv6 on the link, by ::': {
    route: { dst: 'fd00:2::/64', gw: '::' },
    shown: { dst: 'fd00:2::/64', gateway: undefined },
  },
  'of IPv6 on the link, by its scope': {
    route: { dst: 'fd00:2::/64', scope: 253 },
    shown: { dst: 'fd00:2::/64', gateway: undefined },
  },
  'of IPv6 in a table, with a metric': {
    route: { dst: 'fd00:2::/64', table: 1000, priority: 50 },
    shown: { dst: 'fd00:2::/64', gateway: 'fd00:1::1', table: '1000', metric: 50 },
  },
};

const madeAndFound = test.macro(async (t, plugin: string, { route, shown }: Case) => {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const { ipam } = staticConfig();
  const config = { cniVersion: '1.1.0', name: 'net1', ipam: { ...ipam, routes: [route] } };
  const call = { plugin, config, netns };
  const { json } = await node.succeed(t, 'ADD', call);
  const family = JSON.stringify(route).includes('::') ? '-6 ' : '';
  const routes = await node.ip(`${family}route show table all`, netns);
  const found = routes.filter(({ dst }: { dst: string }) => dst === (shown as { dst: string }).dst);
  t.true(
    found.some((one: object) =>
      Object.entries(shown).every(([key, value]) => one[key as never] === value),
    ),
    JSON.stringify(found),
  );
  const check = withResult(call, json);
  await node.succeed(t, 'CHECK', check);
  const { dst, table = 'main' } = shown as { dst: string; table?: string };
  await node.run(
    'ip',
    [...family.split(' ').filter(Boolean), 'route', 'del', dst, 'table', table],
    netns,
  );
  const answer = await node.call('CHECK', check);
  t.regex(answer.json?.msg ?? '', /^Expected route ".*" not found$/);
  await node.succeed(t, 'DEL', call);
});

for (const [what, one] of Object.entries(CASES)) {
  for (const plugin of one.plugins ?? ['bridge', 'ptp'])
    test(`${plugin}: a route ${what}`, madeAndFound, plugin, one);
}
