/** A short run of the harness that `npm run faults` runs whole: one fault in many of each plugin. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { bundlePlugins } from '#test/faults/bundle.ts';
import { crowd } from '#test/faults/crowd.ts';
import { tryPlugin } from '#test/faults/experiment.ts';
import { losePower } from '#test/faults/power-loss.ts';
import { minus, takeSnapshot } from '#test/faults/snapshot.ts';
import { SUBJECTS } from '#test/faults/subjects.ts';
import { TestNode } from '#test/node.ts';

/** Every so manyth fault; the whole run takes them all. */
const STRIDE = 47;

/** Pods of each wave of the crowd. */
const PODS = 60;

const programs = mkdtempSync(join(tmpdir(), 'cni-test-faults-'));

test.before(() => bundlePlugins(programs));
test.after.always(() => rmSync(programs, { recursive: true }));

test('whatever is left of a pod is seen: links, addresses, routes, neighbours, queues, rules, files', async (t) => {
  await using node = await TestNode.create();
  const pod = await node.addPod('a');
  const before = await takeSnapshot(node, pod, [node.folder]);
  t.deepEqual(minus(await takeSnapshot(node, pod, [node.folder]), before), []);
  const plant = `
ip link add left0 type veth peer left1
ip addr add 192.0.2.1/24 dev left0; ip link set left0 up; ip link set left1 up
ip route add 198.51.100.0/24 dev left0
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev left0
tc qdisc add dev left0 root pfifo
nft add table ip left; nft add chain ip left one; nft add rule ip left one accept
iptables-legacy -t nat -N LEFT
echo 1 > /proc/sys/net/ipv4/ip_forward`;
  await node.run('sh', ['-c', plant]);
  await node.run('ip', ['addr', 'add', '192.0.2.9/32', 'dev', 'lo'], pod);
  writeFileSync(node.path('left'), '');
  symlinkSync('nowhere', node.path('left-link'));
  const left = minus(await takeSnapshot(node, pod, [node.folder]), before);
  for (const expected of [
    /^host link left0@/,
    /^host address left0 inet 192\.0\.2\.1/,
    /^host route 198\.51\.100\.0\/24/,
    /^host neighbour 192\.0\.2\.2/,
    /^host qdisc .*pfifo.* left0/,
    /^host nftables table ip left \{ accept/,
    /^host legacy \*nat :LEFT/,
    /^host sysctl ipv4\/ip_forward:1/,
    /^host file .*\/left 644 0$/,
    /^host file .*\/left-link /,
    /^pod address lo inet 192\.0\.2\.9/,
  ]) {
    t.true(
      left.some((line) => expected.test(line)),
      `${expected} in ${left.join('\n')}`,
    );
  }
});

for (const [index, subject] of SUBJECTS.entries()) {
  test(`${subject.title}: of a sample of kills and disturbed calls nothing is left and nothing is lost`, async (t) => {
    const rows = await tryPlugin(subject, programs, { stride: STRIDE, offset: index });
    t.deepEqual(
      rows.flatMap(({ findings }) => findings),
      [],
    );
    const count = rows.reduce((sum, { killPoints, faults }) => sum + killPoints + faults, 0);
    t.true(count > 0);
    t.log(`${count} faults`);
  });
}

test('a power cut costs no address and holds up no DEL, whatever it leaves', async (t) => {
  const { outages, findings } = await losePower(programs, STRIDE);
  t.deepEqual(findings, []);
  t.true(outages > 1);
});

test('hundreds of ADDs and DELs at once beside the reference plugin and GC: distinct addresses, all in reach; then all gone', async (t) => {
  const { findings, foreign, collections } = await crowd(PODS);
  t.deepEqual(findings, []);
  t.true(foreign > 0 && collections > 0);
});
