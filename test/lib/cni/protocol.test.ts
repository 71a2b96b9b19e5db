/** The protocol around the plugins: versions, environment, arguments, configuration keys, errors. */
import test from 'ava';
import * as z from 'zod/mini';
import { macArgument, parseArgs } from '#lib/cni/args.ts';
import { parseConfig } from '#lib/cni/config.ts';
import { parseEnvironment, validateIfName } from '#lib/cni/environment.ts';
import { cleanUp, CniError, CODE, everyStep, prefixed, toCniError } from '#lib/cni/error.ts';
import { integer, object, optional, parseWith } from '#lib/cni/schema.ts';
import { compareVersions, isAtLeast } from '#lib/cni/version.ts';
import { SysError } from '#lib/sys/error.ts';
import { LockTimeout } from '#lib/sys/lock.ts';
import { NotANamespace } from '#lib/sys/netns.ts';

test('versions compare by number', (t) => {
  t.true((compareVersions('0.10.0', '0.9.0') ?? 0) > 0);
  t.is(compareVersions('1.0', '1.0.0'), 0);
  t.is(compareVersions('1.0.0.0', '1.0.0'), undefined);
  t.is(compareVersions('1.x', '1.0.0'), undefined);
  t.true(isAtLeast('1.1.0', '0.4.0'));
  t.false(isAtLeast('x', '0.1.0'));
});

const complete = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/x', CNI_IFNAME: 'eth0' };

test('missing variables are named together, in order; empty is missing', (t) => {
  const error = t.throws(() => parseEnvironment({ CNI_COMMAND: 'ADD', CNI_NETNS: '' }), {
    instanceOf: CniError,
  });
  t.is(error.message, 'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing');
  t.is(error.code, CODE.INVALID_ENVIRONMENT);
  t.is(parseEnvironment({ ...complete, CNI_COMMAND: 'DEL', CNI_NETNS: '' }).netns, undefined);
  for (const command of ['GC', 'STATUS', 'VERSION'])
    t.notThrows(() => parseEnvironment({ CNI_COMMAND: command }));
});

const invalidName = test.macro((t, variable: string, value: string) => {
  t.throws(
    () => parseEnvironment({ ...complete, [variable]: value }),
    { instanceOf: CniError },
    value,
  );
});
for (const value of ['-a', '.a', 'a/b', 'a b', 'a\n', 'ä', 'a:b']) {
  test(`container ID ${JSON.stringify(value)}`, invalidName, 'CNI_CONTAINERID', value);
}
for (const value of ['.', '..', 'a/b', 'a:b', 'a b', 'a\u00a0b', 'abcdefghijklmnop', 'ääääääää']) {
  test(`interface name ${encodeURIComponent(value)}`, invalidName, 'CNI_IFNAME', value);
}

test('an interface name with a zero byte in it would be another one to the kernel', (t) => {
  t.throws(() => validateIfName('br0\0x'), { message: 'interface name contains a zero byte' });
});

test('arguments: known keys, unknown ones only with IgnoreUnknown, keys are case-sensitive', (t) => {
  t.deepEqual(parseArgs('', ['IP']), {});
  t.deepEqual(parseArgs('IP=10.0.0.1', ['IP']), { IP: '10.0.0.1' });
  t.deepEqual(parseArgs('K8S_POD_NAME=a;IP=1;IgnoreUnknown=true', ['IP']), { IP: '1' });
  t.throws(() => parseArgs('ip=1', ['IP']), { message: 'ARGS: unknown args ["ip"]' });
  t.throws(() => parseArgs('IP=1;', ['IP']), { message: 'ARGS: invalid pair ""' });
  t.throws(() => parseArgs('IP=1=2', ['IP']), { message: 'ARGS: invalid pair "IP=…"' });
  t.throws(() => parseArgs('IgnoreUnknown=maybe', ['IP']), { message: /must be true or false/ });
});

test('MAC in the arguments: none, empty, in any notation, no hardware address', (t) => {
  t.is(macArgument({}), undefined);
  t.is(macArgument({ CNI_ARGS: 'MAC=;IgnoreUnknown=1;X=y' }), undefined);
  t.is(macArgument({ CNI_ARGS: 'MAC=02-AA-00-00-00-01' }) as string, '02:aa:00:00:00:01');
  t.throws(() => macArgument({ CNI_ARGS: 'MAC=zz' }), {
    instanceOf: CniError,
    message: 'ARGS: MAC="zz" is not a MAC address',
  });
});

const config = (json: object) => parseConfig(Buffer.from(JSON.stringify(json)));

test('the version of a configuration without one is 0.1.0', (t) => {
  t.is(config({ name: 'n' }).cniVersion, '0.1.0');
  t.is(config({ name: 'n', cniVersion: '' }).cniVersion, '0.1.0');
  t.is(config({ NAME: 'n', CNIVersion: '1.0.0' }).cniVersion, '1.0.0');
});

test('valid attachments: absent, null and a list are three things', (t) => {
  t.is(config({ name: 'n' }).validAttachments, undefined);
  t.deepEqual(config({ name: 'n', 'cni.dev/valid-attachments': null }).validAttachments, []);
  t.deepEqual(
    config({ name: 'n', 'cni.dev/attachments': [{ containerID: 'a', ifname: 'eth0' }] })
      .validAttachments,
    [{ containerID: 'a', ifName: 'eth0' }],
  );
});

const Schema = object(() => ({
  hostPort: optional(integer(1, 65_535), 80),
  inner: z.optional(object(() => ({ name: z.string() }))),
}));

test('keys match in any letter case, null leaves the default, unknown keys pass', (t) => {
  t.like(parseWith(Schema, { HostPort: 8080, other: 1 }, 'x'), { hostPort: 8080, other: 1 });
  t.like(parseWith(Schema, { hostPort: null }, 'x'), { hostPort: 80 });
  t.like(parseWith(Schema, { hostPort: 1, HOSTPORT: 2 }, 'x'), { hostPort: 2 });
  t.like(parseWith(Schema, { Inner: { NAME: 'n' } }, 'x'), { inner: { name: 'n' } });
});

test('a fault says where, what is wanted, what was found', (t) => {
  const fault = (json: unknown) =>
    t.throws(() => parseWith(Schema, json, 'thing'), { instanceOf: CniError });
  t.is(fault({ hostPort: 0 })?.message, 'Invalid thing: "hostPort" must be at least 1, not 0');
  t.is(
    fault({ hostPort: 'http' })?.message,
    'Invalid thing: "hostPort" must be a number, not "http"',
  );
  t.is(fault({ hostPort: 1.5 })?.message, 'Invalid thing: "hostPort" must be an int, not 1.5');
  t.is(fault({ inner: {} })?.message, 'Invalid thing: "inner.name" is missing');
  t.is(fault({ hostPort: 70_000, inner: 7 })?.details.includes('; '), true);
});

const codeOf = test.macro((t, error: unknown, code: number) => t.is(toCniError(error).code, code));
test('a failed system call is code 5', codeOf, SysError.fromErrno('open', 28, '/x'), 5);
test('a lock held too long is code 11', codeOf, new LockTimeout('/x', 1000), 11);
test('what is no namespace is code 8', codeOf, new NotANamespace('x'), 8);
test('anything else is code 999', codeOf, new Error('x'), 999);
test('what is no error is code 999', codeOf, 'x', 999);

test('when an undo fails too, the original is reported and the other mentioned', (t) => {
  const original = new CniError(7, 'original');
  const error = toCniError(new SuppressedError(new Error('undo'), original));
  t.like(error, { code: 7, message: 'original', details: 'while undoing: undo' });
});

test('a prefix keeps the code', (t) => {
  t.like(prefixed('Cannot do it', new CniError(11, 'busy', 'why')), {
    code: 11,
    message: 'Cannot do it: busy',
    details: 'why',
  });
});

const failing = (): number => {
  throw new CniError(CODE.IO_FAILURE, 'no');
};

test('everyStep() answers undefined for a step that fails, and goes on', (t) => {
  const answers: unknown[] = [];
  const error = t.throws(
    () =>
      everyStep((run) => {
        answers.push(
          run(failing),
          run(() => 2),
        );
        throw new CniError(CODE.INTERNAL, 'neither');
      }),
    { instanceOf: AggregateError },
  );
  t.deepEqual(answers, [undefined, 2]);
  t.is(toCniError(error).message, 'no; neither');
  t.is(toCniError(error).code, CODE.IO_FAILURE);
});

test('cleanUp() runs every step and reports all failures with the code of the first', (t) => {
  const ran: number[] = [];
  const steps = [1, 2, 3].map((number) => () => {
    ran.push(number);
    if (number !== 2) throw new CniError(number, `step ${number}`);
  });
  const error = t.throws(() => cleanUp(...steps), { instanceOf: AggregateError });
  t.deepEqual(ran, [1, 2, 3]);
  t.like(toCniError(error), { code: 1, message: 'step 1; step 3' });
});
