/** Many pods at a time, and traffic, on a node with nobody else and on one with many pods' rules and leases. */
import { addAndDeleteCrowd, type CrowdCost } from './crowd.ts';
import { fill } from './fill.ts';
import { makeSides, type Plan, type Row, row, type Times } from './rows.ts';
import type { Side, SideName } from './side.ts';
import { measureTraffic, type Rates } from './traffic.ts';

/** Pods' worth of rules and leases that nodes are filled with. */
const FILLS = [0, 250, 1000];

/** How often a crowd is measured. */
const CROWDS = 4;

/** The same of the peer where others are there: it takes minutes. */
const PEER_CROWDS = 1;

/** Many pods at a time, and traffic, on nodes with nobody and with many others, in turn. */
export async function* filled(plan: Plan): AsyncIterable<Row> {
  const nodes = FILLS.map((others) => {
    const sides = makeSides(plan, `others-${others}`);
    for (const side of sides) fill(side, others);
    const costs: Record<SideName, CrowdCost[]> = { ours: [], peer: [] };
    return { others, sides, costs };
  });
  for (let number = 0; number < CROWDS; number += 1) {
    for (const { others, sides, costs } of nodes) {
      const order = number % 2 === 0 ? sides : sides.toReversed();
      const isQuick = ({ name }: Side) => name === 'ours' || others === 0 || number < PEER_CROWDS;
      for (const side of order.filter(isQuick)) {
        costs[side.name].push(await addAndDeleteCrowd(side, plan.crowd));
      }
    }
  }
  for (const { others, costs } of nodes) yield* crowdRows(plan.crowd, others, costs);
  for (const { others, sides } of [nodes[0], nodes.at(-1)].filter((node) => node !== undefined)) {
    yield* trafficRows(sides, others);
  }
}

function* crowdRows(
  crowd: number,
  others: number,
  costs: Record<SideName, CrowdCost[]>,
): Iterable<Row> {
  const title = `${crowd} pods, 8 at a time, ${others} others there`;
  const pick = (of: (cost: CrowdCost) => number): Times => ({
    ours: costs.ours.map(of),
    peer: costs.peer.map(of),
  });
  const both = pick(({ add, del }) => add.wallMs + del.wallMs);
  yield row(`crowd-${others}`, `ADD and DEL ${title}`, 'ms', both);
  yield row(
    `crowd-add-${others}`,
    `ADD ${title}`,
    'ms',
    pick(({ add }) => add.wallMs),
  );
  yield row(
    `crowd-del-${others}`,
    `DEL ${title}`,
    'ms',
    pick(({ del }) => del.wallMs),
  );
  const processor = pick(({ add, del }) => add.cpuMs + del.cpuMs);
  yield row(`crowd-cpu-${others}`, `the same, processor`, 'ms', processor);
}

/** How often each way is measured. */
const TRAFFIC_RUNS = 5;

async function* trafficRows(sides: readonly Side[], others: number): AsyncIterable<Row> {
  const rates: Record<SideName, Rates[]> = { ours: [], peer: [] };
  for (let number = 0; number < TRAFFIC_RUNS; number += 1) {
    for (const side of sides) rates[side.name].push(await measureTraffic(side));
  }
  const titles = {
    masqueradedConnections: 'new connections, masqueraded',
    masqueradedFlows: 'new UDP flows, masqueraded',
    masqueradedPackets: 'packets of a flow, masqueraded',
    mappedConnections: 'new connections to a host port',
    mappedPackets: 'packets of a flow to a host port',
  };
  for (const key of Object.keys(titles) as (keyof Rates)[]) {
    const values = { ours: rates.ours.map((of) => of[key]), peer: rates.peer.map((of) => of[key]) };
    yield row(`${key}-${others}`, `${titles[key]}, ${others + 1} pods`, '/s', values);
  }
}
