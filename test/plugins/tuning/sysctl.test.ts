/** Keys of kernel parameters as paths below /proc/sys, and values that say the same. */
import test from 'ava';
import { CniError } from '#lib/cni/error.ts';
import { sameSysctlValue } from '#lib/sys/sysctl.ts';
import { shownValue, sysctlName } from '#plugins/tuning/sysctl.ts';

const leadsTo = test.macro((t, key: string, ifName: string, name: string) => {
  t.is(sysctlName(key, ifName), name);
});

test('dots are slashes', leadsTo, 'net.core.somaxconn', 'eth0', 'net/core/somaxconn');
test('slashes stay', leadsTo, 'net/core/somaxconn', 'eth0', 'net/core/somaxconn');
test('a slash in front does not matter', leadsTo, '/net/core/x', 'eth0', 'net/core/x');
test(
  'IFNAME is the interface, with its dots',
  leadsTo,
  'net.ipv4.conf.IFNAME.arp_filter',
  'eth0.100',
  'net/ipv4/conf/eth0.100/arp_filter',
);
test(
  'an interface name that a replacement text could take for something else',
  leadsTo,
  'net.ipv4.conf.IFNAME.arp_filter',
  "$&$'$1",
  "net/ipv4/conf/$&$'$1/arp_filter",
);
test('only the first IFNAME', leadsTo, 'net.IFNAME.IFNAME', 'eth0', 'net/eth0/IFNAME');

const isRefused = test.macro((t, key: string, ifName?: string) => {
  t.throws(() => sysctlName(key, ifName ?? 'eth0'), {
    instanceOf: CniError,
    message: `invalid net sysctl key: ${JSON.stringify(key)}`,
  });
});

for (const key of [
  'kernel.hostname',
  'net',
  '',
  '.',
  'network.x',
  'net/../kernel/hostname',
  'net/ipv4/../../kernel/hostname',
  'net//core',
  'net.core.',
  'net.core.x\0',
  '/proc/sys/net/core/somaxconn',
]) {
  test(`a key that does not stay below net: ${JSON.stringify(key)}`, isRefused, key);
}

for (const ifName of ['.', '..']) {
  test(`IFNAME does not climb: ${ifName}`, isRefused, 'net.ipv4.conf.IFNAME.x', ifName);
}

test('values are the same whatever is between their fields, and no others', (t) => {
  t.true(sameSysctlValue('1024\t65000', '1024 65000'));
  t.true(sameSysctlValue('4096 \t 16384\t4194304\n', ' 4096 16384 4194304'));
  t.false(sameSysctlValue('1024\t65000', '102465000'));
  t.false(sameSysctlValue('0', '00'));
});

test('the value of a parameter that is a secret is not shown', (t) => {
  for (const name of ['net/ipv6/conf/eth0/stable_secret', 'net/ipv4/tcp_fastopen_key']) {
    t.is(shownValue({ name, value: 'fd00::1' }), '(not shown)');
  }
  t.is(shownValue({ name: 'net/core/somaxconn', value: '77' }), '77');
});
