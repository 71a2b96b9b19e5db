/** Bad input to host-local. */
import test from 'ava';
import { hostLocalConfig, ipam } from '#test/configs.ts';
import { config, rangesWith, refuses } from './refuses.ts';

test('host-local: a list of ranges that would take minutes to compare', refuses, 'host-local', {
  code: 7,
  message: /"ipam.ranges\[0\]" must have at most 1000 entries/,
  call: rangesWith(Array.from({ length: 1001 }, () => ({ subnet: '10.1.0.0/24' }))),
});
test('host-local: a subnet with host bits', refuses, 'host-local', {
  code: 7,
  message:
    /invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10\.1\.0\.0/,
  call: rangesWith([{ subnet: '10.1.0.7/24' }]),
});
test('host-local: a /31', refuses, 'host-local', {
  code: 7,
  message: /Network 10\.1\.0\.0\/31 too small to allocate from/,
  call: rangesWith([{ subnet: '10.1.0.0/31' }]),
});
test('host-local: a start outside the subnet', refuses, 'host-local', {
  code: 7,
  message: /RangeStart 10\.2\.0\.1 not in network 10\.1\.0\.0\/24/,
  call: rangesWith([{ subnet: '10.1.0.0/24', rangeStart: '10.2.0.1' }]),
});
test('host-local: mixed families', refuses, 'host-local', {
  code: 7,
  message: /mixed address families/,
  call: rangesWith([{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }]),
});
test('host-local: overlapping sets', refuses, 'host-local', {
  code: 7,
  message: /range set 0 overlaps with 1/,
  call: rangesWith([{ subnet: '10.1.0.0/24' }], [{ subnet: '10.1.0.0/25' }]),
});
test('host-local: an empty set', refuses, 'host-local', {
  code: 7,
  message: /empty range set/,
  call: rangesWith([]),
});
test('host-local: no ranges', refuses, 'host-local', {
  code: 7,
  message: /no IP ranges specified/,
  call: rangesWith(),
});
test('host-local: no ipam', refuses, 'host-local', {
  code: 7,
  message: /IPAM config missing 'ipam' key/,
  call: { config: { cniVersion: '1.0.0', name: 'x' } },
});
test('host-local: a subnet that is none', refuses, 'host-local', {
  code: 7,
  message: /"ipam\.ranges\[0\]\[0\]\.subnet" "10\.1\.0\.0\/33" is not a CIDR prefix/,
  call: rangesWith([{ subnet: '10.1.0.0/33' }]),
});
test('host-local: a missing resolvConf', refuses, 'host-local', {
  code: 5,
  message: /open .*none: no such file or directory/,
  call: config((node) => ({
    ...hostLocalConfig(node, []),
    ipam: { ...ipam(node, ['10.1.0.0/24']), resolvConf: node.path('none') },
  })),
});
