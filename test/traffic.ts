/** Traffic between namespaces, measured by who receives it. */
import { execa } from 'execa';
import { inNetns } from '#scripts/world/command.ts';

/** Answers one TCP connection with the address that it came from, then ends. Prints a line when it listens. */
const TCP_SERVER = `
const server = require('net').createServer((socket) => {
  socket.end(socket.remoteAddress.replace('::ffff:', ''));
  server.close();
});
server.listen(Number(process.argv[1]), '::', () => console.log('ready'));
setTimeout(() => process.exit(1), 20000).unref();`;

/** Connects, prints what it is told. */
const TCP_CLIENT = `
const socket = require('net').connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 3000 });
socket.on('timeout', () => socket.destroy(new Error('timeout')));
socket.on('error', (error) => console.log(error.message));
socket.pipe(process.stdout);`;

/** Answers datagrams with the address that they came from. */
const UDP_SERVER = `
const server = require('dgram').createSocket('udp6');
server.on('message', (message, { address, port }) => server.send(address.replace('::ffff:', ''), port, address));
server.bind(Number(process.argv[1]), '::', () => console.log('ready'));
setTimeout(() => process.exit(1), 20000).unref();`;

/** Sends a datagram, from a port of its own if one is given, prints the answer. */
const UDP_CLIENT = `
const [, host, port, from] = process.argv;
const socket = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
const end = (text) => { process.stdout.write(text); socket.close(); clearTimeout(timer); };
const timer = setTimeout(() => end('timeout'), 5000);
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
  const server = enter(to, isUdp ? UDP_SERVER : TCP_SERVER, [String(serverPort)]);
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const client = isUdp ? UDP_CLIENT : TCP_CLIENT;
  const { stdout } = await enter(from, client, [address, String(port), String(sourcePort)]);
  server.kill();
  await server;
  return stdout;
}
