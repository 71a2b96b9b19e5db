/** Our ptp beside the reference plugin of Debian's package containernetworking-plugins. */
import test, { type ExecutionContext } from 'ava';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { ptpConfig, staticConfig } from '#test/configs.ts';
import { REFERENCE_BIN, TestNode, withResult } from '#test/node.ts';

const THEIRS = `${REFERENCE_BIN}/ptp`;

/** What an ADD made: the result and both ends' routes, with names of our own for what is random. */
async function made(t: ExecutionContext, plugin: string, cniVersion: string): Promise<object> {
  await using node = await TestNode.create();
  const netns = await node.addPod('a');
  const config = { ...staticConfig({ cniVersion }), ipam: { ...staticConfig().ipam, dns: {} } };
  const call = { plugin, config, netns, path: REFERENCE_BIN };
  const { json, stdout } = await node.succeed(t, 'ADD', call);
  const [veth = ''] = await node.links();
  const document = {
    result: JSON.parse(stdout) as object,
    pod: await routes(node, netns),
    host: await routes(node),
    addresses: await addresses(node, veth),
  };
  await node.succeed(t, 'DEL', withResult(call, json));
  t.deepEqual(await node.links(), []);
  const text = JSON.stringify(document)
    .replaceAll(veth, 'veth')
    .replaceAll(netns, 'sandbox')
    .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'mac');
  return JSON.parse(text) as object;
}

/** Without the link-local ones, which are the kernel's affair. */
async function routes(node: TestNode, netns?: string): Promise<unknown> {
  const all = [...(await node.ip('route show', netns)), ...(await node.ip('-6 route show', netns))];
  return all.filter(({ dst }: { dst: string }) => !dst.startsWith('fe80'));
}

async function addresses(node: TestNode, link: string): Promise<unknown> {
  const [{ addr_info: list }] = await node.ip(`addr show dev ${link} scope global`);
  return list.map((item: { local: string; prefixlen: number }) => [item.local, item.prefixlen]);
}

for (const version of SPEC_VERSIONS.filter((one) => one !== '1.1.0')) {
  test(`${version}: result, routes and addresses are the reference's`, async (t) => {
    const [ours, theirs] = [await made(t, 'ptp', version), await made(t, THEIRS, version)];
    // Release 1.1.1 still prints empty DNS settings in 1.0.0.
    const dns = version === '1.0.0' ? { dns: {} } : {};
    t.deepEqual(
      { ...ours, result: { ...('result' in ours && (ours.result as object)), ...dns } },
      theirs,
    );
  });
}

for (const [adds, deletes] of [
  [THEIRS, 'ptp'],
  ['ptp', THEIRS],
] as const) {
  const way =
    adds === 'ptp'
      ? 'ours adds, the reference deletes'
      : 'the reference adds, ours checks and deletes';
  for (const netnsGone of [false, true]) {
    test(`${way}${netnsGone ? ', without the namespace' : ''}`, async (t) => {
      await using node = await TestNode.create();
      // iptables' rules are what either understands of the other's.
      const config = ptpConfig(node, { ipMasqBackend: 'iptables' });
      const netns = await node.addPod('a');
      const call = { config, netns, path: REFERENCE_BIN };
      const { json } = await node.succeed(t, 'ADD', { ...call, plugin: adds });
      t.regex(await node.rules(), /chain CNI-[0-9a-f]{24}/);
      const checked = { ...call, plugin: 'ptp', config: { ...config, prevResult: json } };
      await node.succeed(t, 'CHECK', checked);
      if (netnsGone) await node.deletePod('a');
      await node.succeed(t, 'DEL', { ...call, plugin: deletes });
      t.deepEqual(await node.links(), []);
      t.deepEqual(node.files('networks'), []);
      // Without the namespace the reference plugin leaks its own rules too.
      if (!netnsGone || deletes === 'ptp') t.notRegex(await node.rules(), /CNI-/);
    });
  }
}
