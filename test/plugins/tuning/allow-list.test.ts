/** The administrator's list: expressions as Go reads them, or an error that names the line. */
import test from 'ava';
import { CniError, CODE } from '#lib/cni/error.ts';
import { isAllowed, parseAllowList } from '#plugins/tuning/allow-list.ts';

const LIST = String.raw`
^net\.ipv4\.conf\.IFNAME\.[a-z_]*$
  ^net/core/somaxconn$${'  '}

ip_local_port_range
`;

const allows = test.macro((t, key: string, expected: boolean) => {
  t.is(isAllowed(parseAllowList(LIST, 'list'), key), expected);
});

test('a key as it is written', allows, 'net.ipv4.conf.IFNAME.arp_filter', true);
test('not the key that it stands for', allows, 'net.ipv4.conf.eth0.arp_filter', false);
test('blanks around an expression do not count', allows, 'net/core/somaxconn', true);
test('another spelling is another key', allows, 'net.core.somaxconn', false);
test('anywhere in the key', allows, 'net.ipv4.ip_local_port_range', true);
test('an empty line allows nothing', allows, 'net.core.rmem_default', false);

test('an empty list allows nothing', (t) => {
  t.false(isAllowed(parseAllowList('\n \n', 'list'), 'net.core.somaxconn'));
});

// Go knows the last two; taken as JavaScript's, they would mean something else.
for (const source of ['net.(core', '*', String.raw`\Anet\.core`, 'net.[[:alpha:]]+']) {
  test(`an expression that can't be read names file and line: ${source}`, (t) => {
    const error = t.throws(() => parseAllowList(`^net\n\n${source}\n`, '/etc/list.conf'), {
      instanceOf: CniError,
    });
    t.is(error.code, CODE.INVALID_CONFIG);
    t.regex(error.message, /^Cannot read "\/etc\/list\.conf", line 3: Invalid regular expression/);
  });
}
