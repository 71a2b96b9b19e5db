/** Calls one by one: a plugin's, a chain's, host-local's with many addresses held, and their memory. */
import { Address } from '#lib/addr/address.ts';
import {
  addPod,
  connecting,
  deletePod,
  dualStack,
  hostLocal,
  mappings,
  type Plugin,
  portmap,
} from './chain.ts';
import { runTimed } from './clock.ts';
import { writeLeases } from './fill.ts';
import { deletePair } from './floor.ts';
import { inTurn, makeSides, type Measurement, noTimes, type Plan, type Row, row } from './rows.ts';
import { callPlugin, peakMemory, type Side } from './side.ts';

/** ADD and DEL of one plugin, and in the same turns the executable that does nothing: processors are not equally fast all the time. */
export const plugin = (id: string, title: string, make: (side: Side) => Plugin): Measurement =>
  async function* (plan) {
    const [add, del, empty, pair] = [noTimes(), noTimes(), noTimes(), noTimes()];
    inTurn(makeSides(plan, id), plan.pods, (side, pod, isCounted) => {
      const { name, config } = make(side);
      const added = callPlugin(side, name, config, { command: 'ADD', pod });
      const deleted = callPlugin(side, name, config, { command: 'DEL', pod });
      const nothing = runTimed(side.host, { program: plan.empty, env: {}, input: '' });
      const pairMs = deletePair(side, pod);
      if (!isCounted) return;
      add[side.name].push(added.wallMs);
      del[side.name].push(deleted.wallMs);
      empty.ours.push(nothing.wallMs);
      pair.ours.push(pairMs);
    });
    yield row(`${id}-add`, `ADD ${title}`, 'ms', add);
    yield row(`${id}-del`, `DEL ${title}`, 'ms', del);
    yield row(`${id}-empty`, `… an empty executable in the same turns`, 'ms', empty);
    yield row(`${id}-pair`, `… the kernel's deletion of a veth pair in the same turns`, 'ms', pair);
  };

/** The whole conflist as a runtime calls it. */
export async function* conflist(plan: Plan): AsyncIterable<Row> {
  const [add, del, both] = [noTimes(), noTimes(), noTimes()];
  inTurn(makeSides(plan, 'conflist'), plan.pods, (side, name, isCounted) => {
    const pod = { name, portMappings: mappings(8080, 8053) };
    const added = addPod(side, pod);
    const deleted = deletePod(side, pod, added.result);
    if (!isCounted) return;
    add[side.name].push(added.wallMs);
    del[side.name].push(deleted.wallMs);
    both[side.name].push(added.wallMs + deleted.wallMs);
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

/** The most memory that a call has at one time. */
export async function* memory(plan: Plan): AsyncIterable<Row> {
  const plugins = {
    'flannel with ipMasq': (side: Side) => connecting(side, true),
    portmap: () => portmap(mappings(8080, 8053), dualStack),
  };
  for (const [title, make] of Object.entries(plugins)) {
    const peaks = noTimes();
    inTurn(makeSides(plan, `memory-${title.slice(0, 4)}`), 3, (side, pod) => {
      const { name, config } = make(side);
      peaks[side.name].push(peakMemory(side, name, config, { command: 'ADD', pod }));
      callPlugin(side, name, config, { command: 'DEL', pod });
    });
    yield row(`memory-${title.slice(0, 4)}`, `peak memory, ADD ${title}`, 'MB', peaks);
  }
}
