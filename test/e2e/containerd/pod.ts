/** A pod, and what a kubelet does with it. */
import { scaled } from '#test/limits.ts';
import type { Cri, PodSandboxConfig, PortMapping } from './cri.ts';
import { IMAGE, READY, SERVE } from './image.ts';

/** The web server's port, which host ports lead to. */
const HTTP_PORT = 80;

/** The pod's port for datagrams, which host ports of the same numbers lead to. */
export const UDP_PORT = 5353;

/** Limits of the pods that have them, in bits a second as Kubernetes writes them, and in bytes as the kernel does. */
export const LIMITS = {
  annotations: {
    'kubernetes.io/ingress-bandwidth': '10M',
    'kubernetes.io/egress-bandwidth': '5M',
  },
  ingress: 1_250_000,
  egress: 625_000,
} as const;

/** Far more than a server takes to get ready. */
const READY_S = scaled(60);

/** What distinguishes one pod from the others. */
export interface Plan {
  readonly number: number;
  /** Its port of the node: TCP, and UDP if it has that. */
  readonly hostPort: number;
  /** With a container that serves the page. */
  readonly serves: boolean;
  /** With a host port for datagrams. */
  readonly udp: boolean;
  /** With limits. */
  readonly limited: boolean;
}

/** A pod that runs. */
export interface Pod extends Plan {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  /** The path of its network namespace on the node. */
  readonly netns: string;
  /** Its container, if it serves. */
  readonly container: string;
}

/** RunPodSandbox, and CreateContainer and StartContainer if it serves. */
export async function runPod(cri: Cri, cgroup: string, plan: Plan): Promise<Pod> {
  const config = podConfig(plan, cgroup);
  const { podSandboxId: id } = await cri.call('RunPodSandbox', { config });
  const container = plan.serves ? await startServer(cri, id, config) : '';
  const { address, netns } = await status(cri, id);
  return { ...plan, name: config.hostname, id, address, netns, container };
}

function podConfig(plan: Plan, cgroupParent: string): PodSandboxConfig {
  const { hostPort } = plan;
  const name = `pod-${plan.number}`;
  const tcp: PortMapping = { protocol: 'TCP', containerPort: HTTP_PORT, hostPort };
  const udp: PortMapping = { protocol: 'UDP', containerPort: UDP_PORT, hostPort };
  return {
    metadata: { name, uid: `uid-${plan.number}`, namespace: 'default' },
    hostname: name,
    logDirectory: `/var/lib/pods/${name}`,
    portMappings: plan.udp ? [tcp, udp] : [tcp],
    annotations: plan.limited ? LIMITS.annotations : {},
    linux: { cgroupParent },
  };
}

async function startServer(
  cri: Cri,
  podSandboxId: string,
  sandboxConfig: PodSandboxConfig,
): Promise<string> {
  const config = {
    metadata: { name: 'server' },
    image: { image: IMAGE },
    command: SERVE,
    logPath: 'server.log',
  };
  const request = { podSandboxId, config, sandboxConfig };
  const { containerId } = await cri.call('CreateContainer', request);
  await cri.call('StartContainer', { containerId });
  const { exitCode } = await cri.call('ExecSync', { containerId, cmd: READY, timeout: READY_S });
  if (exitCode !== 0) throw new Error(`The server of ${sandboxConfig.hostname} does not get ready`);
  return containerId;
}

/** What the runtime's own words on a pod hold: its network namespace is in the OCI configuration. */
interface Info {
  readonly runtimeSpec: {
    readonly linux: { readonly namespaces: readonly { type: string; path?: string }[] };
  };
}

async function status(cri: Cri, podSandboxId: string) {
  const { status: pod, info } = await cri.call('PodSandboxStatus', { podSandboxId, verbose: true });
  const { runtimeSpec } = JSON.parse(info['info'] ?? '{}') as Info;
  const netns = runtimeSpec.linux.namespaces.find(({ type }) => type === 'network')?.path ?? '';
  return { address: pod.network?.ip ?? '', netns };
}

/** StopPodSandbox. */
export const stopPod = (cri: Cri, { id }: Pod) => cri.call('StopPodSandbox', { podSandboxId: id });

/** RemovePodSandbox. */
export const removePod = (cri: Cri, { id }: Pod) =>
  cri.call('RemovePodSandbox', { podSandboxId: id });
