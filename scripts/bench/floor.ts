/** What nothing gets below: the start of an executable, and the kernel's part of the work. */
import { loopback, mapping, masquerading, OTHER_PORTS, plain, PORTS } from './chain.ts';
import { bareStart, type Outcome, runTimed } from './clock.ts';
import { callInProcess } from './bare.ts';
import { inTurn, makeSides, noTimes, type Plan, type Row, row, settle } from './rows.ts';
import { type Call, callPlugin, type Side } from './side.ts';

/** The executable that does nothing, the start of plugins, and calls that find nothing to do. */
export async function* starts(plan: Plan): AsyncIterable<Row> {
  const nothing: Call = { command: 'DEL', pod: 'nobody' };
  const runs: Readonly<Record<string, (side: Side) => Outcome>> = {
    empty: ({ host }) => runTimed(host, bareStart(plan.empty)),
    version: (side) =>
      callPlugin(side, plain(side, PORTS).name, {}, { ...nothing, command: 'VERSION' }),
    'start-loopback': (side) => callPlugin(side, loopback.name, loopback.config, nothing),
    'start-flannel': (side) => {
      const { name, config } = plain(side, PORTS);
      return callPlugin(side, name, config, nothing);
    },
  };
  const titles = {
    empty: 'an empty executable',
    version: 'VERSION of flannel (peer: of what it has)',
    'start-loopback': 'loopback: DEL that finds nothing',
    'start-flannel': 'flannel: DEL that finds nothing',
  };
  const times = new Map(Object.keys(runs).map((id) => [id, noTimes()]));
  inTurn(makeSides(plan, 'starts'), plan.pods, (side, _, isCounted) => {
    for (const [id, run] of Object.entries(runs)) {
      if (id === 'empty' && side.name === 'peer') continue;
      const { wallMs } = run(side);
      if (isCounted) times.get(id)?.[side.name].push(wallMs);
    }
  });
  for (const [id, title] of Object.entries(titles)) {
    yield row(id, title, 'ms', times.get(id) ?? noTimes());
  }
}

/** The same work in one process that is warm: the kernel's part, and a little of ours. */
export async function* kernel(plan: Plan): AsyncIterable<Row> {
  for (const [id, subject] of Object.entries({ plain, masq: masquerading, portmap: mapping })) {
    const [side] = makeSides(plan, `kernel-${id}`);
    if (side === undefined) return;
    const [add, del] = [noTimes(), noTimes()];
    settle([side], (_, pod) => {
      callInProcess(side, subject(side, OTHER_PORTS), { command: 'ADD', pod });
    });
    const what = subject(side, PORTS);
    inTurn([side], plan.pods, (_, pod, isCounted) => {
      const added = callInProcess(side, what, { command: 'ADD', pod });
      const deleted = callInProcess(side, what, { command: 'DEL', pod });
      if (isCounted) {
        add.ours.push(added);
        del.ours.push(deleted);
      }
    });
    yield row(`kernel-${id}-add`, `the work of ADD ${id} in a warm process`, 'ms', add);
    yield row(`kernel-${id}-del`, `the work of DEL ${id} in a warm process`, 'ms', del);
  }
}
