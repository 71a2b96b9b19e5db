/** Routes of a plan: what the kernel gets, and what CHECK looks for. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import type { ResultRoute } from '#lib/cni/result.ts';
import { plannedRoutes } from '#lib/container-link/configure.ts';
import type { Link } from '#lib/net/link.ts';

const ips = [
  { address: Prefix.parse('10.1.0.2/24'), gateway: undefined },
  { address: Prefix.parse('10.1.0.3/24'), gateway: Address.parse('10.1.0.1') },
  { address: Prefix.parse('fd00:1::2/64'), gateway: Address.parse('fd00:1::1') },
];

const planned = (route: ResultRoute) => {
  const [made] = plannedRoutes({ ips, routes: [route] }, { index: 7 } as Link);
  return { ...made, dst: String(made?.dst), gw: made?.gw && String(made.gw) };
};

const routed = test.macro((t, route: ResultRoute, expected: object) => {
  t.like(planned(route), { oif: 7, ...expected });
});

const dst = Prefix.parse('192.0.2.9/24');

test(
  'the gateway of the first address of the family that has one',
  routed,
  { dst },
  {
    dst: '192.0.2.0/24',
    gw: '10.1.0.1',
  },
);
test('IPv6 has its own', routed, { dst: Prefix.parse('::/0') }, { dst: '::/0', gw: 'fd00:1::1' });
test(
  'the gateway that is named',
  routed,
  { dst, gw: Address.parse('10.1.0.9') },
  { gw: '10.1.0.9' },
);
test('0.0.0.0 names none', routed, { dst, gw: Address.parse('0.0.0.0') }, { gw: undefined });
test(
  ':: names none',
  routed,
  { dst: Prefix.parse('fd00:2::/64'), gw: Address.parse('::') },
  { gw: undefined },
);
test('link scope has none', routed, { dst, scope: 253 }, { gw: undefined, scope: 253 });
test('host scope has none', routed, { dst, scope: 254 }, { gw: undefined, scope: 254 });
test('global scope has one', routed, { dst, scope: 0 }, { gw: '10.1.0.1', scope: 0 });
test(
  'zeros ask for nothing',
  routed,
  { dst, mtu: 0, advmss: 0, priority: 0, table: 0 },
  { mtuBytes: undefined, advmssBytes: undefined, priority: undefined, table: undefined },
);
test(
  'values are passed on',
  routed,
  { dst, mtu: 1400, advmss: 1300, priority: 5, table: 100 },
  { mtuBytes: 1400, advmssBytes: 1300, priority: 5, table: 100 },
);
