/** Calls one by one: a plugin's, a chain's, host-local's with many addresses held, and their memory. */
import { Address } from '#lib/addr/address.ts';
import {
  addPod,
  deletePod,
  hostLocal,
  mappings,
  OTHER_PORTS,
  PORTS,
  type Subject,
} from './chain.ts';
import { bareStart, runTimed } from './clock.ts';
import { writeLeases } from './fill.ts';
import { deletePair } from './bare.ts';
import {
  inTurn,
  makeSides,
  type Measurement,
  noTimes,
  type Plan,
  type Row,
  row,
  settle,
  type Times,
} from './rows.ts';
import { callPlugin, peakMemory, type Side } from './side.ts';

/** ADD and DEL of one plugin for pod after pod; `also` runs in the same turns. */
function addAndDelete(
  sides: readonly Side[],
  count: number,
  subject: Subject,
  also: (side: Side, pod: string, isCounted: boolean) => void = () => {},
): { add: Times; del: Times } {
  const [add, del] = [noTimes(), noTimes()];
  inTurn(sides, count, (side, pod, isCounted) => {
    const { name, config } = subject(side, PORTS);
    const added = callPlugin(side, name, config, { command: 'ADD', pod });
    const deleted = callPlugin(side, name, config, { command: 'DEL', pod });
    also(side, pod, isCounted);
    if (!isCounted) return;
    add[side.name].push(added.wallMs);
    del[side.name].push(deleted.wallMs);
  });
  return { add, del };
}

/** ADD and DEL of one plugin, and in the same turns the executable that does nothing: processors are not equally fast all the time. */
export const plugin = (id: string, title: string, subject: Subject): Measurement =>
  async function* (plan) {
    const sides = makeSides(plan, id);
    settle(sides, (side, pod) => {
      const { name, config } = subject(side, OTHER_PORTS);
      callPlugin(side, name, config, { command: 'ADD', pod });
    });
    const [empty, pair] = [noTimes(), noTimes()];
    const { add, del } = addAndDelete(sides, plan.pods, subject, (side, pod, isCounted) => {
      const nothing = runTimed(side.host, bareStart(plan.empty));
      const pairMs = deletePair(side, pod);
      if (!isCounted) return;
      empty.ours.push(nothing.wallMs);
      pair.ours.push(pairMs);
    });
    yield row(`${id}-add`, `ADD ${title}`, 'ms', add);
    yield row(`${id}-del`, `DEL ${title}`, 'ms', del);
    yield row(`${id}-empty`, `… an empty executable in the same turns`, 'ms', empty);
    yield row(`${id}-pair`, `… the kernel's deletion of a veth pair in the same turns`, 'ms', pair);
  };

/** The same where each pod is the first of the node, and the last. */
export const pluginAlone = (id: string, title: string, subject: Subject): Measurement =>
  async function* (plan) {
    const { add, del } = addAndDelete(makeSides(plan, id), plan.pods, subject);
    yield row(`${id}-add`, `ADD ${title}, first pod of the node`, 'ms', add);
    yield row(`${id}-del`, `DEL ${title}, last pod of the node`, 'ms', del);
  };

/** The whole conflist as a runtime calls it. */
export async function* conflist(plan: Plan): AsyncIterable<Row> {
  const sides = makeSides(plan, 'conflist');
  settle(sides, (side, name) => void addPod(side, { name, portMappings: mappings(OTHER_PORTS) }));
  const [add, del, both] = [noTimes(), noTimes(), noTimes()];
  inTurn(sides, plan.pods, (side, name, isCounted) => {
    const pod = { name, portMappings: mappings(PORTS) };
    const added = addPod(side, pod);
    const deletedMs = deletePod(side, pod, added.result);
    if (!isCounted) return;
    add[side.name].push(added.wallMs);
    del[side.name].push(deletedMs);
    both[side.name].push(added.wallMs + deletedMs);
  });
  const title = 'loopback + flannel with ipMasq + portmap';
  yield row('conflist-add', `ADD ${title}`, 'ms', add);
  yield row('conflist-del', `DEL ${title}`, 'ms', del);
  yield row('conflist', `ADD and DEL ${title}`, 'ms', both);
}

/** Addresses that are held when host-local is asked for one more. */
const HELD = [10, 1000, 10_000, 60_000];
const FIRST_HELD = Address.parse('10.8.0.2');

/** host-local alone, with few and with many held in the same turns. */
export async function* leases(plan: Plan): AsyncIterable<Row> {
  const sides = makeSides(plan, 'leases');
  const costs = HELD.map((held) => ({ held, add: noTimes(), del: noTimes() }));
  for (const { held } of costs) {
    const addresses = Array.from({ length: held }, (_, number) => FIRST_HELD.plus(BigInt(number)));
    for (const { state } of sides) writeLeases(`${state}/${held}/cbr0`, addresses);
  }
  inTurn(sides, plan.pods, (side, pod, isCounted) => {
    for (const { held, add, del } of costs) {
      const { name, config } = hostLocal(`${side.state}/${held}`);
      const added = callPlugin(side, name, config, { command: 'ADD', pod });
      const deleted = callPlugin(side, name, config, { command: 'DEL', pod });
      if (!isCounted) continue;
      add[side.name].push(added.wallMs);
      del[side.name].push(deleted.wallMs);
    }
  });
  for (const { held, add, del } of costs) {
    yield row(`leases-add-${held}`, `ADD host-local, ${held} held`, 'ms', add);
    yield row(`leases-del-${held}`, `DEL host-local, ${held} held`, 'ms', del);
  }
}

/** The most memory that one process of a call has: a Go plugin's delegate is another, which has its own. */
export const memory = (id: string, title: string, subject: Subject): Measurement =>
  async function* (plan) {
    const peaks = noTimes();
    inTurn(makeSides(plan, id), 3, (side, pod, isCounted) => {
      const { name, config } = subject(side, PORTS);
      const peak = peakMemory(side, name, config, { command: 'ADD', pod });
      if (isCounted) peaks[side.name].push(peak);
      callPlugin(side, name, config, { command: 'DEL', pod });
    });
    yield row(id, `peak memory, ADD ${title}`, 'MB', peaks);
  };
