/** Many pods at once: ADDs and DELs of the flannel chain with the reference's host-local in the same folder, and GCs among them. */
import { readdirSync } from 'node:fs';
import { flannelConfig } from '#test/configs.ts';
import type { Answer } from '#scripts/world/plugin-call.ts';
import { REFERENCE_BIN, TestNode } from '#test/node.ts';
import { sourceSeen } from '#test/traffic.ts';

/** What was seen. */
export interface Crowd {
  readonly pods: number;
  /** Reservations that the reference plugin made and gave back meanwhile. */
  readonly foreign: number;
  readonly collections: number;
  /** Wall time of the first ADDs, of their DELs together with as many other ADDs, and of the last DELs. */
  readonly seconds: readonly [adding: number, changing: number, deleting: number];
  readonly findings: readonly string[];
}

interface Pod {
  readonly containerID: string;
  readonly netns: string;
}

/**
 * Adds so many pods at once on a fresh node; deletes them and adds as many others, all at once; deletes these. Of each pod come two DELs
 * at the same time, as kubelet may send them. Looks at those that are there after each.
 */
export async function crowd(pods: number): Promise<Crowd> {
  await using node = await TestNode.create();
  node.writeFile(
    'subnet.env',
    'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.8.1/22\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n',
  );
  const config = flannelConfig(node, '1.1.0');
  const [first, second] = [await makePods(node, 'a', pods), await makePods(node, 'b', pods)];
  const others = new Others(node, [...first, ...second]);
  const findings: string[] = [];
  const call = async (command: string, pod: Pod): Promise<Answer> => {
    const answer = await node.call(command, { plugin: 'flannel', config, ...pod });
    if (answer.exitCode !== 0) findings.push(`${command} of ${pod.containerID}: ${answer.stdout}`);
    return answer;
  };
  const add = (wave: readonly Pod[]) => Promise.all(wave.map((pod) => call('ADD', pod)));
  const remove = (wave: readonly Pod[]) =>
    Promise.all([...wave, ...wave].map((pod) => call('DEL', pod)));
  const timed = async <T>(calls: Promise<T>): Promise<{ result: T; seconds: number }> => {
    const start = performance.now();
    const result = await others.during(calls);
    return { result, seconds: (performance.now() - start) / 1000 };
  };

  const adding = await timed(add(first));
  findings.push(...(await lookAt(node, adding.result)));
  const changing = await timed(Promise.all([add(second), remove(first)]));
  findings.push(...(await lookAt(node, changing.result[0])));
  const deleting = await timed(remove(second));
  findings.push(...others.findings, ...(await leftOn(node)));
  const { foreign, collections } = others;
  const seconds = [adding.seconds, changing.seconds, deleting.seconds] as const;
  return { pods, foreign, collections, seconds, findings };
}

async function makePods(node: TestNode, letter: string, pods: number): Promise<Pod[]> {
  const all: Pod[] = [];
  for (let index = 0; index < pods; index += 1) {
    const containerID = `${letter}${index}`;
    all.push({ containerID, netns: await node.addPod(containerID) });
  }
  return all;
}

/** Who else is on the node: the reference plugin, and a runtime's garbage collection. */
class Others {
  readonly #node: TestNode;
  readonly #pods: readonly Pod[];
  foreign = 0;
  collections = 0;
  readonly findings: string[] = [];

  constructor(node: TestNode, pods: readonly Pod[]) {
    this.#node = node;
    this.#pods = pods;
  }

  /** Both go on as long as a crowd is at it. */
  async during<T>(calls: Promise<T>): Promise<T> {
    let isOver = false;
    const over = calls.finally(() => (isOver = true));
    await Promise.all([this.#reserve(() => isOver), this.#collect(() => isOver), over]);
    return over;
  }

  async #reserve(isOver: () => boolean): Promise<void> {
    const config = {
      cniVersion: '1.0.0',
      name: 'cbr0',
      type: 'bridge',
      ipam: {
        type: 'host-local',
        dataDir: this.#node.path('networks'),
        ranges: [[{ subnet: '10.244.8.0/22' }]],
      },
    };
    const plugin = `${REFERENCE_BIN}/host-local`;
    while (!isOver()) {
      const call = { plugin, config, containerID: `go${this.foreign}`, netns: '/run/netns/none' };
      for (const command of ['ADD', 'DEL']) {
        const { exitCode, stdout } = await this.#node.call(command, call);
        if (exitCode !== 0) this.findings.push(`the reference's ${command}: ${stdout}`);
      }
      this.foreign += 1;
    }
  }

  /** All pods are valid, the reference's containers too: nothing may go. */
  async #collect(isOver: () => boolean): Promise<void> {
    const attachments = [
      ...this.#pods.map(({ containerID }) => containerID),
      ...Array.from({ length: 10_000 }, (_, index) => `go${index}`),
    ].map((containerID) => ({ containerID, ifname: 'eth0' }));
    const config = {
      ...flannelConfig(this.#node, '1.1.0'),
      'cni.dev/valid-attachments': attachments,
    };
    while (!isOver()) {
      const { exitCode, stdout } = await this.#node.call('GC', { plugin: 'flannel', config });
      if (exitCode !== 0) this.findings.push(`GC: ${stdout}`);
      this.collections += 1;
    }
  }
}

const addressOf = ({ json }: Answer): string => json?.ips?.[0]?.address ?? '';

async function lookAt(node: TestNode, answers: readonly Answer[]): Promise<string[]> {
  const addresses = answers.map(addressOf);
  const [bridge] = (await node.ip('-4 addr show cni0')) as { addr_info: { local: string }[] }[];
  const gateways = bridge?.addr_info.map(({ local }) => local) ?? [];
  const ports = (await node.ip('link show master cni0')) as unknown[];
  const held = readdirSync(node.path('networks', 'cbr0')).filter((name) => name.startsWith('10.'));
  const findings = [
    ...(new Set(addresses).size === answers.length ? [] : ['addresses were given out twice']),
    ...(gateways.join() === '10.244.8.1' ? [] : [`the bridge has ${gateways.join()}`]),
    ...(answers.every(({ json }) => json?.ips?.[0]?.gateway === '10.244.8.1')
      ? []
      : ['a pod has another gateway']),
    ...(ports.length === answers.length ? [] : [`${ports.length} ports`]),
    ...(held.length === answers.length ? [] : [`${held.length} reservations`]),
  ];
  return findings.length > 0 ? findings : reach(node, answers);
}

const bare = (answer: Answer): string => addressOf(answer).split('/')[0] ?? '';
const sandbox = ({ json }: Answer): string => json.interfaces[2].sandbox as string;

/** Every pod from the first one, which shows its own address. */
async function reach(node: TestNode, answers: readonly Answer[]): Promise<string[]> {
  const [first, second] = answers;
  if (first === undefined || second === undefined) return [];
  const from = sandbox(first);
  const seen = await sourceSeen({ from, to: sandbox(second), address: bare(second) });
  const findings = seen === bare(first) ? [] : [`${bare(second)} saw ${seen}`];
  for (const answer of answers) {
    const ping = ['ping', '-c', '1', '-W', '2', bare(answer)];
    await node.run('busybox', ping, from).catch(() => findings.push(`${bare(answer)} is silent`));
  }
  return findings;
}

async function leftOn(node: TestNode): Promise<string[]> {
  const [links, rules] = [await node.links(), await node.rules()];
  const files = [...node.files('networks'), ...node.files('flannel')];
  return [
    ...(links.join() === 'cni0' ? [] : [`left: ${links.join(' ')}`]),
    ...(rules === '' ? [] : [`left: ${rules}`]),
    ...(files.length === 0 ? [] : [`left: ${files.join(' ')}`]),
  ];
}
