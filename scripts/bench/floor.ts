/** What nothing gets below: the start of an executable, and the kernel's part of the work. */
import { loopback, mapping, masquerading, OTHER_PORTS, plain, PORTS } from './chain.ts';
import { runTimed } from './clock.ts';
import { callInProcess } from './bare.ts';
import { inTurn, makeSides, noTimes, type Plan, type Row, row, settle, WARM_UP } from './rows.ts';
import { type Call, callPlugin } from './side.ts';

/** The executable that does nothing, the start of ours, and calls that find nothing to do. */
export async function* starts(plan: Plan): AsyncIterable<Row> {
  const [side] = makeSides(plan, 'starts');
  if (side === undefined) return;
  const flannel = plain(side, PORTS);
  const nothing: Call = { command: 'DEL', pod: 'nobody' };
  const runs = {
    empty: () => runTimed(side.host, { program: plan.empty, env: {}, input: '' }),
    version: () => callPlugin(side, flannel.name, {}, { ...nothing, command: 'VERSION' }),
    'start-loopback': () => callPlugin(side, loopback.name, loopback.config, nothing),
    'start-flannel': () => callPlugin(side, flannel.name, flannel.config, nothing),
  };
  const titles = {
    empty: 'an empty executable',
    version: 'flannel: VERSION',
    'start-loopback': 'loopback: DEL that finds nothing',
    'start-flannel': 'flannel: DEL that finds nothing',
  };
  const times = new Map(Object.keys(runs).map((id) => [id, [] as number[]]));
  for (let number = -WARM_UP; number < plan.pods; number += 1) {
    for (const [id, run] of Object.entries(runs)) {
      const { wallMs } = run();
      if (number >= 0) times.get(id)?.push(wallMs);
    }
  }
  for (const [id, title] of Object.entries(titles)) {
    yield row(id, title, 'ms', { ours: times.get(id) ?? [], peer: [] });
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
