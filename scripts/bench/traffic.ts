/** How fast packets and new connections get through what the plugins made: from a pod to the outside, and by a host port to a pod. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Netns, openNetns, within } from '#lib/sys/netns.ts';
import { ip, netnsPath, ownScript } from '#scripts/world/command.ts';
import { addPod, deletePod } from './chain.ts';
import { bareStart, runTimed } from './clock.ts';
import type { Side } from './side.ts';

const FLOWS = join(import.meta.dirname, 'flows.ts');

/** How long each direction is measured. */
const RUN_MS = 1500;

const HOST = '192.0.2.1';
const OUTSIDE = '192.0.2.2';
const SERVER_PORT = 9000;
const HOST_PORT = 8080;
const POD_PORT = 80;

/** Per second. */
export interface Rates {
  readonly masqueradedConnections: number;
  /** Of UDP: without the handshake and the sockets, which are most of a connection's time. */
  readonly masqueradedFlows: number;
  readonly masqueradedPackets: number;
  readonly mappedConnections: number;
  readonly mappedPackets: number;
}

/** Measures with one more pod on a node, and somebody outside; both go when it is done. @throws ScriptFailure */
export async function measureTraffic(side: Side): Promise<Rates> {
  const [pod, outside] = [`traffic-${side.name}`, `outside-${side.name}`];
  const portMappings = [
    { hostPort: HOST_PORT, containerPort: POD_PORT, protocol: 'tcp' },
    { hostPort: HOST_PORT, containerPort: POD_PORT, protocol: 'udp' },
  ] as const;
  ip('netns', 'add', pod);
  connectOutside(side, outside);
  const { result } = addPod(side, { name: pod, portMappings });
  try {
    using podNetns = openNetns(netnsPath(pod));
    using outsideNetns = openNetns(netnsPath(outside));
    await using _outer = await serve(outsideNetns, SERVER_PORT);
    await using _inner = await serve(podNetns, POD_PORT);
    return {
      masqueradedConnections: rateOf(drive(podNetns, 'connect', OUTSIDE, SERVER_PORT)),
      masqueradedFlows: arrivalRate(outsideNetns, () => drive(podNetns, 'begin', OUTSIDE)),
      masqueradedPackets: arrivalRate(outsideNetns, () =>
        drive(podNetns, 'send', OUTSIDE, SERVER_PORT),
      ),
      mappedConnections: rateOf(drive(outsideNetns, 'connect', HOST, HOST_PORT)),
      mappedPackets: arrivalRate(podNetns, () => drive(outsideNetns, 'send', HOST, HOST_PORT)),
    };
  } finally {
    deletePod(side, { name: pod, portMappings }, result);
    for (const name of [pod, outside]) ip('netns', 'del', name);
  }
}

/** Somebody outside the cluster, next to the node. */
function connectOutside({ host }: Side, outside: string): void {
  ip('netns', 'add', outside);
  within(host, () => {
    ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'eth0', 'netns', outside);
    ip('address', 'add', `${HOST}/24`, 'dev', 'uplink');
    ip('link', 'set', 'uplink', 'up');
  });
  ip('-n', outside, 'address', 'add', `${OUTSIDE}/24`, 'dev', 'eth0');
  ip('-n', outside, 'link', 'set', 'eth0', 'up');
}

async function serve(netns: Netns, port: number): Promise<AsyncDisposable> {
  const program = ownScript(FLOWS, 'serve', String(port));
  const server = within(netns, () => spawn(...program, { stdio: ['ignore', 'pipe', 'inherit'] }));
  await once(server.stdout, 'data');
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'close');
      server.kill('SIGKILL');
      await ended;
    },
  };
}

/** What a client did. */
interface Count {
  readonly count: number;
  readonly ms: number;
}

const rateOf = ({ count, ms }: Count): number => (count * 1e3) / ms;

type Mode = 'connect' | 'send' | 'begin';

/** Runs a client. */
function drive(netns: Netns, mode: Mode, address: string, port = 0): Count {
  const program = ownScript(FLOWS, mode, address, String(port), String(RUN_MS));
  const { stdout } = runTimed(netns, bareStart(...program));
  return JSON.parse(stdout) as Count;
}

/** How many UDP packets a second reach the other side: what was dropped on the way is no packet. */
function arrivalRate(receiver: Netns, body: () => Count): number {
  const before = datagrams(receiver);
  const { ms } = body();
  return rateOf({ count: datagrams(receiver) - before, ms });
}

/** UDP packets that came to a network namespace so far, for a socket that has room for them, or has not, or for none. */
function datagrams(netns: Netns): number {
  const { stdout } = runTimed(netns, bareStart('/bin/cat', ['/proc/net/snmp']));
  const [names = [], values = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  return ['InDatagrams', 'NoPorts', 'InErrors'].reduce(
    (sum, name) => sum + Number(values[names.indexOf(name)]),
    0,
  );
}
