/** The demo itself: pods come, talk and go, and every claim is measured. Runs inside the world. */
import { type Check, checkTable, holds, table } from './check.ts';
import { drawing } from './drawing.ts';
import { layLan } from './lan.ts';
import { ipv4Addresses, leftFiles, linkNames, nftRules } from './leftovers.ts';
import { type Node, NODES, OUTSIDE } from './plan.ts';
import { addPod, deletePod, type Outcome } from './runtime.ts';
import { sourceSeen } from './traffic.ts';

/** A pod on the network. */
interface Pod {
  readonly name: string;
  readonly node: Node;
  /** As ADD's result has it, such as 10.244.1.2/24, and without the length. */
  readonly prefix: string;
  readonly address: string;
  readonly addMs: number;
}

/** Runs the demo and prints what it sees. @returns whether all is as it should be @throws ScriptFailure */
export async function show(): Promise<boolean> {
  layLan();
  const pods = addPods();
  console.log(`\n${drawing(new Map(pods.map(({ name, address }) => [name, address])))}\n`);
  const living = [...addressChecks(pods), ...(await trafficChecks(pods))];
  const first = deletePods(pods);
  const second = deletePods(pods);
  const checks = [
    ...living,
    outcomeCheck('DEL of every pod', first),
    outcomeCheck('DEL of every pod, again', second),
    ...leftoverChecks(),
  ];
  console.log(`${checkTable(checks)}\n`);
  console.log(`${timeTable(pods, first, second)}\n`);
  const failed = checks.filter((check) => !holds(check)).length;
  console.log(failed === 0 ? 'All checks hold.' : `${failed} of ${checks.length} checks fail.`);
  return failed === 0;
}

const addPods = (): Pod[] =>
  NODES.flatMap((node) =>
    node.pods.map((name) => {
      const { ms, result } = addPod(node, name);
      const prefix = result.ips[0]?.address;
      return { name, node, prefix: `${prefix}`, address: `${prefix?.address}`, addMs: ms };
    }),
  );

const addressChecks = (pods: readonly Pod[]): Check[] =>
  pods.map(({ name, prefix }) => ({
    what: `${name} has the address that ADD told`,
    expected: prefix,
    seen: ipv4Addresses(name, 'eth0'),
  }));

/** Every pod talks to its neighbour on the node, to a pod of the other node, and to the host outside. */
async function trafficChecks(pods: readonly Pod[]): Promise<Check[]> {
  const pairs = pods.flatMap((from) => [
    { from, to: pods.find(({ name, node }) => node === from.node && name !== from.name) },
    { from, to: pods.find(({ node }) => node !== from.node) },
    { from, to: undefined },
  ]);
  // One after the other: the receivers of two connections may be the same pod.
  return Array.fromAsync(pairs, ({ from, to }) =>
    to === undefined ? outsideCheck(from) : podCheck(from, to),
  );
}

/** Between pods the receiver sees the pod's own address, wherever the two are. */
const podCheck = async (from: Pod, to: Pod): Promise<Check> => ({
  what: `${from.name} → ${to.name}, ${from.node === to.node ? 'same node' : 'across nodes'}: source`,
  expected: from.address,
  seen: await sourceSeen(from.name, to.name, to.address),
});

/** Outside, nobody knows the way back to a pod: the receiver sees the node. */
const outsideCheck = async (from: Pod): Promise<Check> => ({
  what: `${from.name} → ${OUTSIDE.name}, masqueraded: source`,
  expected: from.node.address,
  seen: await sourceSeen(from.name, OUTSIDE.name, OUTSIDE.address),
});

const deletePods = (pods: readonly Pod[]): Outcome[] =>
  pods.map(({ node, name }) => deletePod(node, name));

const outcomeCheck = (what: string, outcomes: readonly Outcome[]): Check => ({
  what,
  expected: 'succeeds',
  seen: outcomes.map(({ failure }) => failure).find((failure) => failure !== '') ?? 'succeeds',
});

/** The bridge stays for the next pod; of the pods nothing does. */
const leftoverChecks = (): Check[] =>
  NODES.flatMap((node) => [
    { what: `${node.name}: links left`, expected: 'cni0 eth0 lo', seen: linkNames(node.name) },
    rulesCheck(node),
    { what: `${node.name}: files left`, expected: 'none', seen: leftFiles(node) },
    {
      what: `${node.pods.join(', ')}: links left`,
      expected: node.pods.map(() => 'lo').join(', '),
      seen: node.pods.map(linkNames).join(', '),
    },
  ]);

function rulesCheck({ name }: Node): Check {
  const seen = nftRules(name);
  const expected = seen === undefined ? 'skipped: there is no nft (package nftables) here' : 'none';
  return { what: `${name}: nft rules left`, expected, seen };
}

/** Whole processes as a runtime sees them, start-up and nsenter included. */
function timeTable(
  pods: readonly Pod[],
  first: readonly Outcome[],
  second: readonly Outcome[],
): string {
  const titles = ['time in ms', '  ADD', '  DEL', 'DEL again'];
  const row = ({ name, addMs }: Pod, index: number) => [
    name,
    ...[addMs, first[index]?.ms, second[index]?.ms].map((ms, column) =>
      (ms?.toFixed(1) ?? '?').padStart(titles[column + 1]?.length ?? 0),
    ),
  ];
  return table([titles, ...pods.map(row)]);
}
