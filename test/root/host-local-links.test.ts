/** host-local: symbolic links that somebody planted in its folders. */
import test from 'ava';
import { hostLocalConfig } from '#test/configs.ts';
import { TestNode } from '#test/node.ts';

test('links in the place of folders, index, marker and lock are not followed', async (t) => {
  await using node = await TestNode.create();
  const config = hostLocalConfig(node, ['10.1.0.0/29']);
  const add = async (containerID: string) => {
    const call = { plugin: 'host-local', config, containerID, netns: '/x' };
    const { json } = await node.call('ADD', call);
    return json.ips?.[0].address ?? json.msg;
  };
  await node.run('mkdir', ['-p', node.path('victim'), node.path('networks')]);
  node.writeFile('victim/file', 'precious');
  const link = (name: string) =>
    node.run('ln', [
      '-s',
      node.path(name.endsWith('/') ? 'victim' : 'victim/file'),
      node.path('networks', name.replace(/\/$/, '')),
    ]);
  const isUntouched = async () =>
    (await node.run('sh', ['-c', `cat ${node.path('victim')}/*; ls -A ${node.path('victim')}`])) ===
    'preciousfile';

  await link('net1/');
  t.regex(await add('a'), /networks\/net1: it is a symbolic link, which is not followed here/);
  await node.run('rm', [node.path('networks/net1')]);
  await link('.attachments/');
  t.is(await add('a'), '10.1.0.2/29');
  await node.succeed(t, 'DEL', { plugin: 'host-local', config, containerID: 'a' });
  t.true(await isUntouched());
  await node.run('rm', [node.path('networks/.attachments')]);
  await node.run('rm', [node.path('networks/net1/last_reserved_ip.0')]);
  await link('net1/last_reserved_ip.0');
  t.is(await add('b'), '10.1.0.2/29');
  await node.run('rm', [node.path('networks/net1/lock')]);
  await link('net1/lock');
  t.regex(await add('c'), /net1\/lock: it is a symbolic link/);
  t.true(await isUntouched());
});
