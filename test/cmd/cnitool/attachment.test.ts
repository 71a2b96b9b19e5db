import test from 'ava';
import { containerID, describeAttachment, parseCniArgs } from '#cmd/cnitool/attachment.ts';
import { CniError } from '#lib/cni/error.ts';

test('containerID() is what the reference cnitool makes of the path', (t) => {
  // printf %s /var/run/netns/testing | sha512sum | head -c 20
  t.is(containerID('/var/run/netns/testing'), 'cnitool-77383ca0a0715733ca6f');
});

test('describeAttachment() makes the path absolute, and the container with it', (t) => {
  const { netns, containerID: id } = describeAttachment(
    '/var/run//netns/../netns/testing/',
    undefined,
    {},
  );
  t.is(netns, '/var/run/netns/testing');
  t.is(id, containerID('/var/run/netns/testing'));
});

test('describeAttachment() takes the interface from option, variable, default, in this order', (t) => {
  const env = { CNI_IFNAME: 'net1' };
  t.is(describeAttachment('/n', 'net2', env).ifName, 'net2');
  t.is(describeAttachment('/n', undefined, env).ifName, 'net1');
  t.is(describeAttachment('/n', undefined, {}).ifName, 'eth0');
});

test('describeAttachment() refuses a name that no interface can have', (t) => {
  t.throws(() => describeAttachment('/n', 'a/b', {}), {
    instanceOf: CniError,
    message: 'interface name contains / or : or whitespace characters',
  });
});

const capabilityArgs = (text: string) =>
  describeAttachment('/n', 'eth0', { CAP_ARGS: text }).capabilityArgs;

test('describeAttachment() reads CAP_ARGS, null as nothing', (t) => {
  t.deepEqual(capabilityArgs('{"mac":"02:00:00:00:00:01"}'), { mac: '02:00:00:00:00:01' });
  t.deepEqual(capabilityArgs('null'), {});
  t.deepEqual(capabilityArgs(''), {});
});

for (const text of ['[1]', '"x"', '{', '5']) {
  test(`describeAttachment() refuses CAP_ARGS ${text}`, (t) => {
    const error = t.throws(() => capabilityArgs(text), {
      instanceOf: CniError,
      message: /^Cannot read the environment variable CAP_ARGS: /,
    });
    t.is(error?.code, 4);
  });
}

test('parseCniArgs() keeps order and repetition', (t) => {
  t.deepEqual(parseCniArgs('A=1;B=2;A=3'), [
    ['A', '1'],
    ['B', '2'],
    ['A', '3'],
  ]);
  t.deepEqual(parseCniArgs(''), []);
});

for (const text of ['A', 'A=', '=1', 'A=1;', 'A=1=2', ';']) {
  test(`parseCniArgs() refuses "${text}"`, (t) => {
    t.throws(() => parseCniArgs(text), {
      instanceOf: CniError,
      message: /^invalid CNI_ARGS pair ".*"$/,
    });
  });
}
