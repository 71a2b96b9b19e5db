/** Many pods at a time, as after a node's reboot: what they take together. */
import { ip } from '#scripts/world/command.ts';
import { addPodBeside, deletePodBeside, mappings, type Pod } from './chain.ts';
import { childrenCpuMs } from './clock.ts';
import type { Side } from './side.ts';

/** More than there are processors: some calls wait for the kernel while others work. */
const AT_ONCE = 8;

/** From the first call's start to the last one's end, and the processor time of all. */
interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** What ADD and DEL of all pods took. */
export interface CrowdCost {
  readonly add: Cost;
  readonly del: Cost;
}

/** Adds this many pods with masquerading and two host ports each, some at a time, and deletes them. @throws ScriptFailure */
export async function addAndDeleteCrowd(side: Side, count: number): Promise<CrowdCost> {
  const pods = Array.from({ length: count }, (_, index): Pod => {
    return {
      name: `crowd-${side.name}-${index}`,
      portMappings: mappings([20_000 + index, 20_000 + index]),
    };
  });
  for (const { name } of pods) ip('netns', 'add', name);
  const results = new Map<Pod, object>();
  const add = await timed(() =>
    someAtATime(pods, async (pod) => void results.set(pod, await addPodBeside(side, pod))),
  );
  const del = await timed(() =>
    someAtATime(pods, (pod) => deletePodBeside(side, pod, results.get(pod) ?? {})),
  );
  for (const { name } of pods) ip('netns', 'del', name);
  return { add, del };
}

async function timed(body: () => Promise<void>): Promise<Cost> {
  const cpu = childrenCpuMs();
  const start = performance.now();
  await body();
  return { wallMs: performance.now() - start, cpuMs: childrenCpuMs() - cpu };
}

async function someAtATime<T>(
  items: readonly T[],
  body: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await body(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
