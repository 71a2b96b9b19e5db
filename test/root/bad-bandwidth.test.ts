/** Bad input of bandwidth: one JSON error with the right code, nothing changed; and a DEL that it does not hold up. */
import test from 'ava';
import { chainedConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';
import { type BadCall, chainedWith, refuses } from './refuses.ts';

const LIMITS = { ingressRate: 8000, ingressBurst: 8000, egressRate: 8000, egressBurst: 8000 };

const limits = (more: Record<string, unknown>) => chainedWith('bandwidth', { ...LIMITS, ...more });

const CASES: Readonly<Record<string, BadCall>> = {
  'not chained': {
    code: 7,
    message: /must be called as chained plugin/,
    call: limits({ prevResult: undefined }),
  },
  'a rate without burst': {
    code: 7,
    message: /Invalid network config "net1": "ingressBurst" if rate is set, burst must also be set/,
    call: limits({ ingressBurst: 0 }),
  },
  'a burst without rate': {
    code: 7,
    message: /"egressRate" if burst is set, rate must also be set/,
    call: limits({ egressRate: undefined }),
  },
  "the runtime's rate without burst": {
    code: 7,
    message:
      /Invalid network config "net1": "runtimeConfig\.bandwidth\.ingressBurst" if rate is set/,
    call: chainedWith('bandwidth', { runtimeConfig: { bandwidth: { IngressRate: 8000 } } }),
  },
  'a burst of less than a byte': {
    code: 7,
    message: /"ingressBurst" burst must be at least 8 bits/,
    call: limits({ ingressBurst: 7 }),
  },
  'a burst of 4 GB': {
    code: 7,
    message: /"egressBurst" burst cannot be more than 4GB/,
    call: limits({ egressBurst: 8 * 2 ** 32 }),
  },
  'a rate below zero': {
    code: 7,
    message: /"ingressRate" must be at least 0, not -1/,
    call: limits({ ingressRate: -1 }),
  },
  'a rate in words': {
    code: 7,
    message: /"ingressRate" must be an? \w+, not "10M"/,
    call: limits({ ingressRate: '10M' }),
  },
  'a version without interfaces in results': {
    code: 1,
    message: /incompatible CNI versions/,
    call: limits({ cniVersion: '0.2.0', prevResult: undefined }),
  },
  'an interface that is not there': {
    code: 7,
    message: /container interface eth0 not found/,
    call: limits({}),
  },
  'no interfaces': {
    code: 7,
    message: /no interfaces provided/,
    call: limits({ prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.1.0.2/24' }] } }),
  },
  'an interface that is no veth': {
    code: 7,
    message: /container interface lo has no veth peer/,
    call: (node) => ({ ...limits({})(node), ifName: 'lo' }),
  },
};

for (const [what, bad] of Object.entries(CASES)) {
  test(`bandwidth: ${what}`, refuses, 'bandwidth', bad);
}

test('bandwidth: faulty limits do not hold up DEL', async (t) => {
  await using node = await TestNode.create();
  for (const more of [
    { ingressBurst: 0 },
    { egressRate: 'x' },
    { runtimeConfig: { bandwidth: 7 } },
  ]) {
    const config = chainedConfig('bandwidth', { ...LIMITS, ...more });
    await node.succeed(t, 'DEL', { plugin: 'bandwidth', config });
  }
});
