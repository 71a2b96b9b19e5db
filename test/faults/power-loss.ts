/**
 * Power loss: what a call wrote is written again, cut off at every point, and with what nobody synced lost. Then the machine
 * "starts anew": another boot id, a later time of boot, an empty /run. All addresses must be had, and no DEL be held up.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { flannelConfig } from '#test/configs.ts';
import { anotherBoot } from '#test/reboot.ts';
import type { Answer } from '#scripts/world/plugin-call.ts';
import { TestNode } from '#test/node.ts';
import { type FileChange, type DoorCall, TRACE_VARIABLE } from './fault.ts';

/** What becomes of the content of files that no fsync brought to the disk. */
type Damage = 'whole' | 'empty' | 'torn' | 'zeros';

/** Which files lose it. */
type Extent = 'all' | 'last';

/** One state that an earlier boot may have left. */
interface Outage {
  /** So many of the changes were made. */
  readonly cut: number;
  readonly damage: Damage;
  readonly extent: Extent;
}

/** What was tried, and what should not have been. */
export interface PowerLoss {
  readonly changes: number;
  readonly outages: number;
  readonly findings: readonly string[];
}

/** Five addresses besides the gateway's. */
const SUBNET = '10.244.1.1/29';
const CAPACITY = 5;

const DAMAGES: readonly Damage[] = ['empty', 'torn', 'zeros'];

const outages = (changes: number): Outage[] =>
  Array.from({ length: changes + 1 }, (_, cut) => [
    { cut, damage: 'whole', extent: 'all' } as const,
    ...DAMAGES.flatMap((damage) => [
      { cut, damage, extent: 'all' } as const,
      { cut, damage, extent: 'last' } as const,
    ]),
  ]).flat();

/** Cuts the power at every `stride`th state of a flannel ADD. `programs` is the folder of the plugins behind the door. */
export async function losePower(programs: string, stride: number): Promise<PowerLoss> {
  await using node = await TestNode.create();
  node.writeFile(
    'subnet.env',
    `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${SUBNET}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
  );
  const call = {
    plugin: 'flannel',
    config: flannelConfig(node, '1.0.0'),
    netns: await node.addPod('a'),
  };
  const changes = await record(node, programs, call);
  await node.call('DEL', call);
  const chosen = outages(changes.length).filter((_, index) => index % stride === 0);
  const findings: string[] = [];
  for (const outage of chosen) {
    for (const folder of ['networks', 'flannel']) {
      rmSync(node.path(folder), { recursive: true, force: true });
    }
    restore(changes.slice(0, outage.cut), outage);
    const place = `power lost after change ${outage.cut} of ${changes.length} (${changes[outage.cut - 1]?.path}), ${outage.extent} ${outage.damage}`;
    findings.push(...(await startAnew(node)).map((text) => `${place}: ${text}`));
  }
  return { changes: changes.length, outages: chosen.length, findings };
}

/** The changes of files of an ADD that another one came before: folders are there, and the round has begun. */
async function record(
  node: TestNode,
  programs: string,
  call: { plugin: string; config: object; netns: string },
): Promise<FileChange[]> {
  const trace = node.path('trace.json');
  const env = { [TRACE_VARIABLE]: trace };
  const plugin = join(programs, call.plugin);
  const answer = await node.call('ADD', { ...call, plugin, env, path: node.path('empty') });
  if (answer.exitCode !== 0) throw new Error(`ADD fails: ${answer.stdout}`);
  const calls = JSON.parse(readFileSync(trace, 'utf8')) as DoorCall[];
  return calls.flatMap(({ change }) =>
    change !== undefined && change.path.startsWith(node.folder) ? [change] : [],
  );
}

/** Makes the changes again, then takes the content of files away. */
function restore(changes: readonly FileChange[], { damage, extent }: Outage): void {
  for (const change of changes) repeat(change);
  const written = changes.flatMap((change) => (change.op === 'write' ? [change.content] : []));
  const victims = extent === 'all' ? written : written.slice(-1);
  const folders = new Set(changes.map(({ path }) => join(path, '..')));
  for (const folder of folders) {
    const times = existsSync(folder) ? statSync(folder) : undefined;
    for (const entry of times?.isDirectory() === true
      ? readdirSync(folder, { withFileTypes: true })
      : []) {
      const path = join(folder, entry.name);
      if (entry.isFile() && victims.includes(readFileSync(path, 'utf8'))) spoil(path, damage);
    }
    if (times !== undefined) utimesSync(folder, times.atime, times.mtime);
  }
}

function repeat(change: FileChange): void {
  switch (change.op) {
    case 'mkdir':
      mkdirSync(change.path, { recursive: true });
      break;
    case 'open':
      mkdirSync(join(change.path, '..'), { recursive: true });
      writeFileSync(change.path, '', { flag: 'a', mode: 0o600 });
      break;
    case 'write':
      writeFileSync(change.path, change.content);
      break;
    case 'link':
      linkSync(change.path, change.to);
      break;
    case 'rename':
      renameSync(change.path, change.to);
      break;
    case 'unlink':
      rmSync(change.path, { force: true });
      break;
    case 'utimes':
      utimesSync(change.path, change.seconds, change.seconds);
      break;
  }
}

function spoil(path: string, damage: Damage): void {
  const content = readFileSync(path, 'utf8');
  if (damage === 'empty') writeFileSync(path, '');
  if (damage === 'torn') writeFileSync(path, content.slice(0, content.length >> 1));
  if (damage === 'zeros') writeFileSync(path, '\0'.repeat(content.length));
}

/** All addresses are given out, to containers of the new boot; then the old one's DEL comes, late. */
async function startAnew(node: TestNode): Promise<string[]> {
  const through = anotherBoot(node);
  const config = {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'host-local',
    ipam: {
      type: 'host-local',
      dataDir: node.path('networks'),
      ranges: [[{ subnet: '10.244.1.0/29' }]],
    },
  };
  const run = (command: string, containerID: string): Promise<Answer> =>
    node.call(command, {
      plugin: 'host-local',
      config,
      containerID,
      netns: '/run/netns/none',
      through,
    });
  const findings: string[] = [];
  const must = async (command: string, containerID: string): Promise<void> => {
    const { exitCode, stdout } = await run(command, containerID);
    if (exitCode !== 0)
      findings.push(`${command} of ${containerID}: ${stdout.replaceAll(/\s+/g, ' ')}`);
  };
  const names = Array.from({ length: CAPACITY }, (_, index) => `new${index}`);
  for (const name of names) await must('ADD', name);
  const late = await node.call('DEL', {
    plugin: 'flannel',
    config: flannelConfig(node, '1.0.0'),
    through,
  });
  if (late.exitCode !== 0) findings.push(`late DEL: ${late.stdout}`);
  const owners = new Set(
    node
      .files('networks')
      .filter((name) => name.startsWith('cbr0/10.'))
      .map((name) => readFileSync(node.path('networks', name), 'utf8').split('\r')[0]),
  );
  const robbed = names.filter((name) => !owners.has(name));
  if (robbed.length > 0) findings.push(`after it, ${robbed.join(' ')} had no address any more`);
  const gc = { ...flannelConfig(node, '1.1.0'), 'cni.dev/valid-attachments': [] };
  const collected = await node.call('GC', { plugin: 'flannel', config: gc, through });
  if (collected.exitCode !== 0) findings.push(`GC: ${collected.stdout}`);
  const left = [
    ...node.files('networks'),
    ...(existsSync(node.path('flannel')) ? node.files('flannel') : []),
  ];
  if (left.length > 0) findings.push(`left: ${left.join(' ')}`);
  return findings;
}
