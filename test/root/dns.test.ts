/** DNS settings of a network and of its IPAM plugin: which of them count. */
import test from 'ava';
import { ptpConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

test('dns: a list that is there replaces what IPAM says, even if it is empty; without a key IPAM’s stays', async (t) => {
  await using node = await TestNode.create();
  const given = { nameservers: ['10.1.0.1'], domain: 'a.b', search: [], options: [] };
  const expected = { nameservers: ['10.1.0.1'], domain: 'a.b' };
  const cases: readonly (readonly [dns: unknown, answer: unknown])[] = [
    [undefined, expected],
    [{}, expected],
    [null, expected],
    [{ domain: '' }, expected],
    [{ nameservers: null }, expected],
    [{ nameservers: [], search: [] }, undefined],
    [{ options: [] }, undefined],
    [{ search: ['c.d'] }, { search: ['c.d'] }],
    [{ domain: 'e.f' }, { domain: 'e.f' }],
  ];
  const ips = [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }];
  const answer = JSON.stringify({ cniVersion: '1.0.0', ips, dns: given });
  node.writeProgram('empty/odd', `[ "$CNI_COMMAND" != ADD ] || echo '${answer}'`);
  for (const [index, [dns, expectation]] of cases.entries()) {
    for (const plugin of ['ptp', 'bridge']) {
      const containerID = `${plugin}${index}`;
      const netns = await node.addPod(containerID);
      const call = {
        plugin,
        config: { ...ptpConfig(node, { ipMasq: false, ipam: { type: 'odd' } }), dns },
        netns,
        containerID,
        path: node.path('empty'),
      };
      const { json } = await node.succeed(t, 'ADD', call);
      t.deepEqual(json.dns, expectation, `${plugin} ${JSON.stringify(dns)}`);
      await node.succeed(t, 'DEL', call);
    }
  }
});
