/**
 * A real runtime runs our plugins: Debian's containerd and runc, asked as a kubelet asks, with flannel's usual list and port
 * mappings and bandwidth behind it. Pods come and go, the runtime is killed among them, and at the end nothing is left.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SUBNET_ENV } from '#test/configs.ts';
import { eachOf } from './batch.ts';
import { Containerd } from './daemon.ts';
import { makeImage } from './image.ts';
import { lastingShims, leftovers } from './leftovers.ts';
import { limitsOf } from './limits.ts';
import { CONFIGURATIONS, Machine } from './machine.ts';
import { LIMITS, type Plan, type Pod, removePod, runPod, stopPod } from './pod.ts';
import { goAllWays, type Way } from './traffic.ts';

const PODS = 20;
const AT_ONCE = 6;

/** The list of conf/, and what kube-flannel and kubelet's bandwidth annotations ask for behind it. */
const CHAINED = [
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
];

/** Every third serves, every second of those by UDP too; every second is limited. */
const PLANS: readonly Plan[] = Array.from({ length: PODS }, (_, index) => ({
  number: index + 1,
  hostPort: 8001 + index,
  serves: index % 3 === 0,
  udp: index % 6 === 0,
  limited: index % 2 === 0,
}));

test.serial('containerd runs pods with our plugins, is killed, and leaves nothing', async (t) => {
  await using machine = await Machine.create();
  configure(machine);
  using containerd = new Containerd(machine);
  try {
    await containerd.start();
    await bringImage(machine, containerd);
    await live(t, machine, containerd);
  } catch (error) {
    t.log(`The end of containerd's log:\n${containerd.log()}`);
    throw error;
  }
});

function configure(machine: Machine): void {
  const list = JSON.parse(readFileSync('conf/10-flannel.conflist', 'utf8')) as {
    plugins: object[];
  };
  const plugins = [...list.plugins, ...CHAINED];
  machine.write(`${CONFIGURATIONS}/10-flannel.conflist`, JSON.stringify({ ...list, plugins }));
  machine.write('/run/flannel/subnet.env', SUBNET_ENV);
}

async function bringImage(machine: Machine, containerd: Containerd): Promise<void> {
  const folder = '/run/image';
  mkdirSync(join(machine.root, folder));
  const archive = await makeImage(join(machine.root, folder));
  await containerd.importImage(archive.slice(machine.root.length));
}

/** What a pod asks for that comes too late. */
const RIVAL = { number: PODS + 1, serves: false, udp: false, limited: true };

/** The whole life of the pods. */
async function live(t: ExecutionContext, machine: Machine, containerd: Containerd): Promise<void> {
  const { cri } = containerd;
  const run = (plan: Plan) => runPod(cri, machine.cgroup, plan);
  const ways: Way[] = [];
  const goTo = async (server: Pod, client: Pod) => {
    for (const way of await goAllWays(machine, cri, { server, client })) {
      ways.push(way);
      t.regex(way.seen, way.expected, way.what);
    }
  };

  const early = await eachOf(PLANS.slice(0, PODS / 2), AT_ONCE, run);
  const [first, second] = early.filter(({ serves }) => serves) as [Pod, Pod];
  await goTo(first, second);

  // Its port is taken, which is found out in the middle of the list: what was made before that goes.
  const standing = await leftovers(machine, cri);
  const refusal = await t.throwsAsync(run({ ...RIVAL, hostPort: first.hostPort }));
  t.regex(refusal.message, /Host port .* is already held by container/);
  // The kernel may list the same rules in another order; at the end none is left.
  t.deepEqual({ ...(await leftovers(machine, cri)), rules: [] }, { ...standing, rules: [] });

  await containerd.kill();
  await containerd.start();
  await goTo(first, second);
  const late = await eachOf(PLANS.slice(PODS / 2), AT_ONCE, run);
  const pods = [...early, ...late];
  const newest = late.findLast(({ udp }) => udp) as Pod;
  await goTo(newest, first);
  t.is(new Set(pods.map(({ address }) => address)).size, PODS, 'every pod has its own address');
  t.true(pods.every(({ address }) => /^10\.244\.1\.[0-9]+$/.test(address)));
  for (const pod of pods) await isLimited(t, machine, pod);

  // Killed while pods are being taken down, the runtime takes them down again.
  const stops = pods.slice(0, AT_ONCE).map((pod) => stopPod(cri, pod));
  await Promise.race(stops);
  await containerd.kill();
  await Promise.allSettled(stops);
  await containerd.start();
  await eachOf(pods, AT_ONCE, (pod) => stopPod(cri, pod));
  await eachOf(pods, AT_ONCE, (pod) => stopPod(cri, pod));
  await eachOf(pods, AT_ONCE, (pod) => removePod(cri, pod));

  const left = { ...(await leftovers(machine, cri)), shims: await lastingShims(machine) };
  summarize(t, { pods, ways, refusal: refusal.message, calls: cri.calls, left });
  t.deepEqual(left, Object.fromEntries(Object.keys(left).map((kind) => [kind, []])));
}

async function isLimited(t: ExecutionContext, machine: Machine, pod: Pod): Promise<void> {
  const { ingress, egress } = pod.limited ? LIMITS : { ingress: undefined, egress: undefined };
  t.deepEqual(await limitsOf(machine, pod), { ingress, egress }, `limits of ${pod.name}`);
}

interface Seen {
  readonly pods: readonly Pod[];
  readonly ways: readonly Way[];
  readonly refusal: string;
  readonly calls: ReadonlyMap<string, number>;
  readonly left: Readonly<Record<string, readonly string[]>>;
}

/** The test's own summary: what ran, what was seen, what was left. */
function summarize(t: ExecutionContext, { pods, ways, refusal, calls, left }: Seen): void {
  const count = (filter: (pod: Pod) => boolean) => pods.filter(filter).length;
  const rows = [
    ['pods', `${pods.length}, ${AT_ONCE} at a time, each with a host port`],
    ['', `${count(({ serves }) => serves)} serve, ${count(({ limited }) => limited)} are limited`],
    [
      'containerd',
      'killed with -9 and restarted twice: among running pods, and among stopping ones',
    ],
    ...[...calls].map(([name, times]) => ['call', `${String(times).padStart(3)} ${name}`]),
    ...ways.map(({ what, seen }) => ['way', `${what}: ${seen}`]),
    ['refused', refusal],
    ...Object.entries(left).map(([kind, found]) => ['left', `${found.length} ${kind}`]),
  ];
  t.log(rows.map(([title = '', text]) => `${title.padEnd(10)}  ${text}`).join('\n'));
}
