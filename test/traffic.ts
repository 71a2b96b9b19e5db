/** Traffic between namespaces, measured by who receives it. */
import { execa } from 'execa';
import { inNetns } from '#scripts/world/command.ts';
import { scaled } from './limits.ts';

/** A server that nobody asks ends after this time. */
const SERVER_LIMIT_MS = scaled(20_000);

/** A connection may take this long to be made, and an answered datagram. */
const CONNECT_LIMIT_MS = scaled(3_000);
const ANSWER_LIMIT_MS = scaled(5_000);

/**
 * Answers one TCP connection with the address that it came from, then ends. Prints a line when it listens: for both families where
 * the kernel has both.
 */
const TCP_SERVER = `
const server = require('net').createServer((socket) => {
  socket.end(socket.remoteAddress.replace('::ffff:', ''));
  server.close();
});
server.listen(Number(process.argv[1]), () => console.log('ready'));
setTimeout(() => process.exit(1), ${SERVER_LIMIT_MS}).unref();`;

/** Connects, prints what it is told. */
const TCP_CLIENT = `
const socket = require('net').connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: ${CONNECT_LIMIT_MS} });
socket.on('timeout', () => socket.destroy(new Error('timeout')));
socket.on('error', (error) => console.log(error.message));
socket.pipe(process.stdout);`;

/** Answers datagrams with the address that they came from. */
const UDP_SERVER = `
const [, port, type] = process.argv;
const server = require('dgram').createSocket(type);
server.on('message', (message, from) => server.send(from.address, from.port, from.address));
server.bind(Number(port), () => console.log('ready'));
setTimeout(() => process.exit(1), ${SERVER_LIMIT_MS}).unref();`;

/** Sends a datagram, from a port of its own if one is given, prints the answer. */
const UDP_CLIENT = `
const [, host, port, from, type] = process.argv;
const socket = require('dgram').createSocket(type);
const end = (text) => { process.stdout.write(text); socket.close(); clearTimeout(timer); };
const timer = setTimeout(() => end('timeout'), ${ANSWER_LIMIT_MS});
socket.on('message', (message) => end(message.toString()));
socket.on('error', (error) => end(error.message));
socket.bind(Number(from), () => socket.send('?', Number(port), host));`;

const enter = (netns: string, script: string, args: readonly string[]) =>
  execa(...inNetns(netns, process.execPath, '-e', script, ...args), { reject: false });

/** Who talks to whom. Ports default to 8080; `serverPort` is where the server listens, if that is another. */
export interface Conversation {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly port?: number;
  readonly serverPort?: number;
  readonly protocol?: 'tcp' | 'udp';
  /** UDP: the client's own port; default: any. */
  readonly sourcePort?: number;
}

/** The source address that a server in one namespace sees of a client in another, or the client's failure. */
export async function sourceSeen(conversation: Conversation): Promise<string> {
  const { from, to, address, port = 8080, serverPort = port, sourcePort = 0 } = conversation;
  const isUdp = conversation.protocol === 'udp';
  const type = address.includes(':') ? 'udp6' : 'udp4';
  const server = enter(to, isUdp ? UDP_SERVER : TCP_SERVER, [String(serverPort), type]);
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const client = isUdp ? UDP_CLIENT : TCP_CLIENT;
  const { stdout } = await enter(from, client, [address, String(port), String(sourcePort), type]);
  server.kill();
  await server;
  return stdout;
}

/** An answer to a ping may take this long. */
const PING_LIMIT_S = scaled(2);

/** Whether an address of either family answers a ping from a namespace: cheaper than a conversation, and it tells no source. */
export async function answersPing(from: string, address: string): Promise<boolean> {
  const ping = ['/bin/busybox', 'ping', '-c', '1', '-W', String(PING_LIMIT_S), address];
  const { exitCode } = await execa('nsenter', [`--net=${from}`, '--', ...ping], { reject: false });
  return exitCode === 0;
}
