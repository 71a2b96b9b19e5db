import test from 'ava';
import { delegateAdd } from '#lib/cni/delegate.ts';
import { CniError } from '#lib/cni/error.ts';
import { type AnyPlugin, type AttachmentCall, definePlugin, invoke } from '#lib/cni/plugin.ts';
import { EMPTY_RESULT, type Result } from '#lib/cni/result.ts';
import { NoKeys } from '#lib/cni/schema.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';

/** A plugin that is a function. */
const pluginOf = (add: (call: AttachmentCall<unknown>) => Result): AnyPlugin =>
  definePlugin({
    name: 'self',
    versions: SPEC_VERSIONS,
    config: NoKeys,
    teardown: NoKeys,
    add,
    check: () => [],
    del() {},
    gc() {},
    status: () => [],
  });

/** A folder with nothing in it: what is not found there is run in this process. */
const PATHS = { CNI_PATH: import.meta.dirname };

function callOf(plugin: AnyPlugin): string {
  let answer = '';
  invoke(plugin, {
    env: {
      ...PATHS,
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'a',
      CNI_NETNS: '/x',
      CNI_IFNAME: 'eth0',
    },
    readInput: () => Buffer.from('{"cniVersion":"1.0.0","name":"net1"}'),
    print: (text) => (answer = text),
    builtins: (name) => (name === 'self' ? plugin : undefined),
    isDelegate: false,
  });
  return answer;
}

test('a plugin may delegate eight deep, and no deeper', (t) => {
  let calls = 0;
  const circle = pluginOf((call) => {
    calls += 1;
    return delegateAdd(call, 'self', call.input);
  });
  const error = t.throws(() => callOf(circle), { instanceOf: CniError });
  t.is(error.message, 'Plugins delegate to each other in a circle');
  t.is(error.code, 7);
  // The call itself, and eight delegates.
  t.is(calls, 9);
});

test('a delegate of this process hands its result over as it is', (t) => {
  let depth = 0;
  const dns = { nameservers: ['10.1.0.1'], domain: '', search: [], options: [] };
  const chain = pluginOf((call) => {
    depth += 1;
    return depth < 3 ? delegateAdd(call, 'self', call.input) : { ...EMPTY_RESULT, dns };
  });
  t.deepEqual(JSON.parse(callOf(chain)), {
    cniVersion: '1.0.0',
    dns: { nameservers: ['10.1.0.1'] },
  });
});
