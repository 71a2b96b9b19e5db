import test from 'ava';
import { Prefix } from '#lib/addr/prefix.ts';
import { CniError } from '#lib/cni/error.ts';
import { type AnyPlugin, type AttachmentCall, definePlugin } from '#lib/cni/plugin.ts';
import { EMPTY_RESULT, type Result } from '#lib/cni/result.ts';
import { NoKeys } from '#lib/cni/schema.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { ipamAdd, ipamCheck, ipamStatus, type UsesIpam } from '#lib/ipam/ipam.ts';

/** An IPAM plugin that notes its commands. */
function ipamOf(answer: Result, log: string[], failure?: CniError): AnyPlugin {
  function* fail() {
    if (failure !== undefined) throw failure;
    yield* [];
  }
  return definePlugin({
    name: 'addresses',
    versions: SPEC_VERSIONS,
    config: NoKeys,
    teardown: NoKeys,
    add: () => (log.push('ADD'), answer),
    check: fail,
    del: () => void log.push('DEL'),
    gc() {},
    status: fail,
  });
}

const call = (
  plugin: AnyPlugin | undefined,
  type: string | undefined,
): AttachmentCall<UsesIpam> => ({
  config: { ipam: type === undefined ? undefined : { type } },
  cniVersion: '1.1.0',
  network: 'net1',
  env: { CNI_CONTAINERID: 'a', CNI_NETNS: '/x', CNI_IFNAME: 'eth0' },
  input: Buffer.from('{"cniVersion":"1.1.0","name":"net1"}'),
  json: {},
  builtins: (name) => (name === 'addresses' ? plugin : undefined),
  isDelegate: false,
  attachment: { network: 'net1', containerID: 'a', ifName: 'eth0', netns: '/x' },
  prevResult: undefined,
});

const RESULT: Result = { ...EMPTY_RESULT, ips: [{ address: Prefix.parse('10.1.0.2/24') }] };

test('a network without IPAM has no addresses, and asks nobody', (t) => {
  using undo = new DisposableStack();
  t.deepEqual(ipamAdd(call(undefined, undefined), undo), EMPTY_RESULT);
});

test('addresses are given back when what comes after fails', (t) => {
  const log: string[] = [];
  {
    using undo = new DisposableStack();
    t.is(ipamAdd(call(ipamOf(RESULT, log), 'addresses'), undo).ips.length, 1);
  }
  t.deepEqual(log, ['ADD', 'DEL']);
});

test('an answer without addresses is refused, and given back', (t) => {
  const log: string[] = [];
  t.throws(
    () => {
      using undo = new DisposableStack();
      ipamAdd(call(ipamOf(EMPTY_RESULT, log), 'addresses'), undo);
    },
    { instanceOf: CniError, message: 'IPAM plugin returned missing IP config' },
  );
  t.deepEqual(log, ['ADD', 'DEL']);
});

test('what the IPAM plugin finds is found with its code', (t) => {
  const failing = ipamOf(RESULT, [], new CniError(50, 'full', 'details'));
  const finding = { code: 50, message: 'full', advice: 'details' };
  t.deepEqual([...ipamCheck(call(failing, 'addresses'))], [finding]);
  t.deepEqual([...ipamStatus(call(failing, 'addresses'))], [finding]);
  t.deepEqual([...ipamStatus(call(ipamOf(RESULT, []), 'addresses'))], []);
});

test('STATUS: an IPAM plugin that is not there is code 50', (t) => {
  const [finding] = ipamStatus(call(undefined, 'none'));
  t.is(finding?.code, 50);
  t.regex(finding?.message ?? '', /no paths provided/);
});
