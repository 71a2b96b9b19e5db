import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError } from '#lib/cni/error.ts';
import { requireIpv6Mtu } from '#lib/container-link/ipv6.ts';

const IPV4 = Prefix.parse('10.1.0.2/24');
const IPV6 = Prefix.parse('fd00:1::2/64');

test('an MTU below 1280 is refused for IPv6, with all that one needs to change it', (t) => {
  const error = t.throws(() => requireIpv6Mtu([IPV4, IPV6], 1279, 'the key "mtu"'), {
    instanceOf: CniError,
  });
  t.is(
    error.message,
    'Cannot use IPv6 address "fd00:1::2/64": IPv6 needs an MTU of at least 1280 bytes, and the key "mtu" is 1279',
  );
  t.is(error.code, 7);
});

test('1280, IPv4 alone, and the MTU that the kernel chooses are right', (t) => {
  t.notThrows(() => requireIpv6Mtu([IPV6], 1280, 'x'));
  t.notThrows(() => requireIpv6Mtu([IPV4], 68, 'x'));
  t.notThrows(() => requireIpv6Mtu([IPV6], undefined, 'x'));
});
