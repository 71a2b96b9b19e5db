import test from 'ava';
import * as fc from 'fast-check';
import { encodeSubnetEnv, parseSubnetEnv, SubnetEnvError } from '#lib/flannel/subnet-env.ts';

const IPV4 = 'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n';
const REST = 'FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';

const parse = (text: string) => {
  const { networks, subnets, mtuBytes, ipMasq } = parseSubnetEnv(text, '/run/x');
  return { networks: networks.map(String), subnets: subnets.map(String), mtuBytes, ipMasq };
};

test('the file as flanneld writes it; subnets are masked', (t) => {
  t.deepEqual(
    parse(
      `${IPV4}FLANNEL_IPV6_NETWORK=fd00:10::/48\nFLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64\n${REST}`,
    ),
    {
      networks: ['10.244.0.0/16', 'fd00:10::/48'],
      subnets: ['10.244.1.0/24', 'fd00:10:0:1::/64'],
      mtuBytes: 1450,
      ipMasq: true,
    },
  );
});

const tolerated = test.macro((t, text: string) => t.deepEqual(parse(text), parse(IPV4 + REST)));
test('CR at line ends', tolerated, (IPV4 + REST).replaceAll('\n', '\r\n'));
test('quotes and blanks', tolerated, (IPV4 + REST).replaceAll(/=(.*)/g, ' = "$1" '));
test(
  'export, comments, other keys, blank lines, no newline at the end',
  tolerated,
  `# x\n\nOTHER=1\nexport ${(IPV4 + REST).trim()}`,
);
test('the last line of a key wins', tolerated, `FLANNEL_MTU=9\n${IPV4}${REST}`);

test('several networks, doubles dropped', (t) => {
  t.deepEqual(
    parse(`${IPV4.replace('10.244.0.0/16', '10.244.0.0/16, 10.245.1.0/16,10.244.9.9/16')}${REST}`)
      .networks,
    ['10.244.0.0/16', '10.245.0.0/16'],
  );
});

const refused = test.macro((t, text: string, message: RegExp) => {
  t.regex(t.throws(() => parse(text), { instanceOf: SubnetEnvError }).message, message);
});
test(
  'an empty file',
  refused,
  '',
  /^\/run\/x is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ$/,
);
test('no MTU', refused, `${IPV4}FLANNEL_IPMASQ=true`, /^\/run\/x is missing FLANNEL_MTU$/);
test('a key without =', refused, `${IPV4}FLANNEL_MTU\n${REST}`, /line 3: "FLANNEL_MTU" has no "="/);
test(
  'an MTU that is no number',
  refused,
  `${IPV4}FLANNEL_MTU=14x0\nFLANNEL_IPMASQ=true`,
  /FLANNEL_MTU must be a number from 68 to 65535, not "14x0"/,
);
test(
  'a subnet that is none',
  refused,
  `${IPV4.replace('1.1/24', '1.1')}${REST}`,
  /FLANNEL_SUBNET: "10.244.1.1" is not a CIDR prefix/,
);
test(
  'IPv6 under a key for IPv4',
  refused,
  `${IPV4.replace('10.244.1.1/24', 'fd00::1/64')}${REST}`,
  /"fd00::1\/64" is not an IPv4 network/,
);
test(
  'two subnets',
  refused,
  `${IPV4.replace('10.244.1.1/24', '10.244.1.1/24,10.244.2.1/24')}${REST}`,
  /must be one subnet a family/,
);
test(
  'neither true nor false',
  refused,
  `${IPV4}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=yes`,
  /FLANNEL_IPMASQ must be "true" or "false", not "yes"/,
);

test('whatever the text, there is an answer or a SubnetEnvError', (t) => {
  const lines = fc.array(
    fc.oneof(
      fc.string(),
      fc.constantFrom(
        'FLANNEL_NETWORK=10.0.0.0/8',
        'FLANNEL_MTU=',
        'FLANNEL_SUBNET="',
        'FLANNEL_IPMASQ=true',
      ),
    ),
  );
  fc.assert(
    fc.property(lines, (text) => {
      try {
        parse(text.join('\n'));
      } catch (error) {
        t.true(error instanceof SubnetEnvError);
      }
    }),
  );
  t.pass();
});

test('encodeSubnetEnv() writes what flanneld writes, to the byte', (t) => {
  const env = parseSubnetEnv(IPV4 + REST, '/run/x');
  t.is(encodeSubnetEnv(env), IPV4 + REST);
});

test('encodeSubnetEnv() of both families, and of IPv6 alone', (t) => {
  const ipv6 = 'FLANNEL_IPV6_NETWORK=2001:db8:42::/56\nFLANNEL_IPV6_SUBNET=2001:db8:42:35::1/64\n';
  for (const text of [IPV4 + ipv6 + REST, ipv6 + REST.replace('true', 'false')]) {
    t.is(encodeSubnetEnv(parseSubnetEnv(text, '/run/x')), text);
  }
});

test('encodeSubnetEnv() keeps several networks', (t) => {
  const text = IPV4.replace('10.244.0.0/16', '10.244.0.0/16,10.245.0.0/16') + REST;
  t.is(encodeSubnetEnv(parseSubnetEnv(text, '/run/x')), text);
});
