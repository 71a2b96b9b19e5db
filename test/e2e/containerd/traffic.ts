/** Traffic to a pod that serves, by every way that leads there: who answers, and whom it sees. */
import { execa } from 'execa';
import { inNetns } from '#scripts/world/command.ts';
import { scaled } from '#test/limits.ts';
import type { Cri } from './cri.ts';
import { PAGE } from './image.ts';
import { type Machine, NODE_ADDRESS, OUTSIDE_ADDRESS } from './machine.ts';
import { type Pod, UDP_PORT } from './pod.ts';

/** The bridge's address, which the node has among its pods. */
const GATEWAY = '10.244.1.1';

/** A way to a pod. */
export interface Way {
  readonly what: string;
  /** What the pod answers: its name, and the address that it sees, where that is laid down. */
  readonly expected: RegExp;
  readonly seen: string;
}

/** Whoever asks for a page gives up after this time. */
const TIMEOUT_S = scaled(10);

/** Asks for a page. Not by wget's own timeout: with it, Debian's static busybox crashes. */
const get = (url: string): [file: string, ...args: string[]] => [
  '/bin/busybox',
  'timeout',
  String(TIMEOUT_S),
  '/bin/busybox',
  'wget',
  '-q',
  '-O',
  '-',
  url,
];
const page = (address: string, port = 80) => `http://${address}:${port}/${PAGE}`;

const answers = ({ name }: Pod, source?: string) =>
  new RegExp(`^${name} saw ${source?.replaceAll('.', '\\.') ?? '[0-9.]+'}$`);

/** Goes all ways to a pod's server; the client is another pod with a container. */
export async function goAllWays(
  machine: Machine,
  cri: Cri,
  { server, client }: { server: Pod; client: Pod },
): Promise<Way[]> {
  const fromPod = (pod: Pod, url: string) => execInPod(cri, pod, get(url));
  const fromNode = (url: string) => words(machine.run(...get(url)));
  const fromOutside = (url: string) => {
    const [file, ...args] = get(url);
    return words(machine.node.run(file, args, machine.outside));
  };
  const { name, address, hostPort: port } = server;
  const byNode = page(NODE_ADDRESS, port);
  const ways: readonly [string, RegExp, () => Promise<string>][] = [
    [
      `${client.name} → ${name}`,
      answers(server, client.address),
      () => fromPod(client, page(address)),
    ],
    [`node → ${name}`, answers(server, GATEWAY), () => fromNode(page(address))],
    [`node → 127.0.0.1:${port}`, answers(server, GATEWAY), () => fromNode(page('127.0.0.1', port))],
    [`node → ${NODE_ADDRESS}:${port}`, answers(server), () => fromNode(byNode)],
    [
      `outside → ${NODE_ADDRESS}:${port}`,
      answers(server, OUTSIDE_ADDRESS),
      () => fromOutside(byNode),
    ],
    [`${client.name} → ${NODE_ADDRESS}:${port}`, answers(server), () => fromPod(client, byNode)],
    [`${name} → ${NODE_ADDRESS}:${port} (itself)`, answers(server), () => fromPod(server, byNode)],
    [
      `outside → ${NODE_ADDRESS}:${port} (UDP)`,
      answers(server, OUTSIDE_ADDRESS),
      () => askByUdp(machine, server),
    ],
  ];
  const gone: Way[] = [];
  for (const [what, expected, go] of ways) gone.push({ what, expected, seen: await go() });
  return gone;
}

/** Runs a command in a pod's container. @returns what it wrote, also if it failed */
async function execInPod(cri: Cri, pod: Pod, command: readonly string[]): Promise<string> {
  const request = { containerId: pod.container, cmd: command, timeout: 3 * TIMEOUT_S };
  const { stdout, stderr, exitCode } = await cri.call('ExecSync', request);
  return exitCode === 0 ? String(stdout).trim() : `exit status ${exitCode}: ${stdout}${stderr}`;
}

const words = (output: Promise<string>): Promise<string> =>
  output.catch((error: unknown) => String(error));

/** Answers each datagram with the pod's name and the address that it came from. Prints a line when it listens. */
const SERVER = `
const [name, port] = process.argv.slice(1);
const socket = require('dgram').createSocket('udp4');
socket.on('message', (_, from) => socket.send(name + ' saw ' + from.address, from.port, from.address));
socket.bind(Number(port), () => console.log('ready'));`;

/** Prints the first answer. A connected socket takes none from another address; datagrams may be lost, so it asks again. */
const CLIENT = `
const [address, port, tries] = process.argv.slice(1);
const socket = require('dgram').createSocket('udp4');
socket.on('message', (answer) => { console.log(String(answer)); process.exit(); });
socket.on('error', (error) => { console.log(error.message); process.exit(); });
let left = Number(tries);
socket.connect(Number(port), address, () => setInterval(() => {
  if (left-- > 0) return socket.send('?');
  console.log('no answer'); process.exit();
}, 100));`;

/** Runs a script in a network namespace. */
const node = (netns: string, script: string, ...args: string[]) =>
  execa(...inNetns(netns, process.execPath, '-e', script, ...args), { reject: false });

/** The image has no program that serves datagrams: one of ours does, in the pod's network namespace. */
async function askByUdp(machine: Machine, pod: Pod): Promise<string> {
  const server = node(machine.netns(pod.netns), SERVER, pod.name, String(UDP_PORT));
  try {
    await server.iterable().next();
    const asked = [NODE_ADDRESS, String(pod.hostPort), String(TIMEOUT_S * 10)];
    const { stdout, stderr } = await node(machine.outside, CLIENT, ...asked);
    return `${stdout}${stderr}`;
  } finally {
    server.kill();
    await server;
  }
}
