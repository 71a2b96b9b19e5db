import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { parseMac } from '#lib/addr/mac.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { NO_DNS } from '#lib/cni/config.ts';
import { CniError } from '#lib/cni/error.ts';
import { encodeResult, parseResult, type Result } from '#lib/cni/result.ts';
import type { SpecVersion } from '#lib/cni/version.ts';

const FULL: Result = {
  interfaces: [
    { name: 'cni0', mac: parseMac('0a:58:0a:01:00:01'), mtu: 1450 },
    { name: 'eth0', mac: parseMac('02:00:00:00:00:02'), mtu: 1450, sandbox: '/run/netns/x' },
  ],
  ips: [
    { address: Prefix.parse('10.1.0.2/24'), gateway: Address.parse('10.1.0.1'), interface: 1 },
    { address: Prefix.parse('fd00::2/64'), interface: 0 },
  ],
  routes: [
    { dst: Prefix.parse('0.0.0.0/0'), gw: Address.parse('10.1.0.1'), mtu: 1300, priority: 0 },
    { dst: Prefix.parse('::/0'), table: 0, scope: 0 },
  ],
  dns: { ...NO_DNS, nameservers: ['192.0.2.53'] },
};

const compact = (text: string): string => JSON.stringify(JSON.parse(text));

const encodes = test.macro((t, version: SpecVersion, expected: string) => {
  const text = encodeResult(FULL, version);
  t.is(compact(text), expected.replaceAll(/\n\s*/g, ''));
  t.regex(text, /^\{\n {4}"cniVersion"/);
  t.false(text.endsWith('\n'));
});

test(
  '0.2.0: one address a family, routes of that family, no interfaces',
  encodes,
  '0.2.0',
  `{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},
  "ip6":{"ip":"fd00::2/64","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["192.0.2.53"]}}`,
);
test(
  '0.3.1: lists, ips with a version',
  encodes,
  '0.3.1',
  `{"cniVersion":"0.3.1","interfaces":[{"name":"cni0","mac":"0a:58:0a:01:00:01"},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"/run/netns/x"}],
  "ips":[{"version":"4","address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1},{"version":"6","address":"fd00::2/64","interface":0}],
  "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1300},{"dst":"::/0","table":0,"scope":0}],"dns":{"nameservers":["192.0.2.53"]}}`,
);
test(
  '1.0.0: sorted keys, no version of ips, interfaces without MTU',
  encodes,
  '1.0.0',
  `{"cniVersion":"1.0.0","dns":{"nameservers":["192.0.2.53"]},"interfaces":[{"mac":"0a:58:0a:01:00:01","name":"cni0"},
  {"mac":"02:00:00:00:00:02","name":"eth0","sandbox":"/run/netns/x"}],
  "ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1},{"address":"fd00::2/64","interface":0}],
  "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1300},{"dst":"::/0","table":0,"scope":0}]}`,
);
test(
  '1.1.0: interfaces with MTU',
  encodes,
  '1.1.0',
  `{"cniVersion":"1.1.0","dns":{"nameservers":["192.0.2.53"]},"interfaces":[{"mac":"0a:58:0a:01:00:01","mtu":1450,"name":"cni0"},
  {"mac":"02:00:00:00:00:02","mtu":1450,"name":"eth0","sandbox":"/run/netns/x"}],
  "ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1},{"address":"fd00::2/64","interface":0}],
  "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1300},{"dst":"::/0","table":0,"scope":0}]}`,
);

test('an empty dns is printed before 1.0.0 and left out since', (t) => {
  const result = { ...FULL, dns: NO_DNS };
  t.deepEqual(JSON.parse(encodeResult(result, '0.4.0')).dns, {});
  t.false('dns' in JSON.parse(encodeResult(result, '1.0.0')));
});

test('a result without addresses has no shape before 0.3.0', (t) => {
  t.throws(() => encodeResult({ ...FULL, ips: [] }, '0.1.0'), {
    instanceOf: CniError,
    message: /no valid IP addresses/,
  });
});

for (const version of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const) {
  test(`what ${version} can say survives printing and reading`, (t) => {
    const text = encodeResult(FULL, version);
    t.is(encodeResult(parseResult(JSON.parse(text), version, 'result'), version), text);
  });
}

test('a result without a version is in that of the configuration', (t) => {
  const result = parseResult({ ips: [{ Address: '10.1.0.2/24' }] }, '1.0.0', 'result');
  t.is(String(result.ips[0]?.address), '10.1.0.2/24');
});

test('a result of another family of versions is refused', (t) => {
  const message =
    /result type supports \[1\.0\.0 1\.1\.0\] but unmarshalled CNIVersion is "0\.3\.1"/;
  t.throws(() => parseResult({ cniVersion: '0.3.1' }, '1.0.0', 'prevResult'), {
    instanceOf: CniError,
    message,
  });
  t.notThrows(() => parseResult({ cniVersion: '1.1.0' }, '1.0.0', 'prevResult'));
});

test('faults are named by their place', (t) => {
  const message = /Invalid prevResult: "ips\[1\]\.address" "x" is not a CIDR prefix/;
  t.throws(
    () =>
      parseResult({ ips: [{ address: '10.0.0.1/8' }, { address: 'x' }] }, '1.0.0', 'prevResult'),
    { message },
  );
});
