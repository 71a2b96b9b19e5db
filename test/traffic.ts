/** Traffic between namespaces, measured by who receives it. */
import { execa } from 'execa';
import type { TestNode } from './node.ts';

/** Answers one TCP connection with the address that it came from, then ends. Prints a line when it listens. */
const SERVER = `
const server = require('net').createServer((socket) => {
  socket.end(socket.remoteAddress.replace('::ffff:', ''));
  server.close();
});
server.listen(Number(process.argv[1]), '::', () => console.log('ready'));
setTimeout(() => process.exit(1), 20000).unref();`;

/** Connects, prints what it is told. */
const CLIENT = `
const socket = require('net').connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 3000 });
socket.on('timeout', () => socket.destroy(new Error('timeout')));
socket.on('error', (error) => console.log(error.message));
socket.pipe(process.stdout);`;

const enter = (netns: string, script: string, args: string[]) =>
  execa('nsenter', [`--net=${netns}`, '--', process.execPath, '-e', script, ...args], {
    reject: false,
  });

/** The source address that a server in one namespace sees of a client in another, or the client's failure. */
export async function sourceSeen(options: {
  from: string;
  to: string;
  address: string;
}): Promise<string> {
  const port = '8080';
  const server = enter(options.to, SERVER, [port]);
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const { stdout } = await enter(options.from, CLIENT, [options.address, port]);
  server.kill();
  await server;
  return stdout;
}

/** Joins another namespace to the node's by a veth pair, the node being its way to the pods. @returns its path */
export async function addOutside(
  node: TestNode,
  address: string,
  nodeAddress: string,
): Promise<string> {
  const outside = await node.addPod('outside');
  const name = outside.slice('/run/netns/'.length);
  await node.run('ip', [
    'link',
    'add',
    'lan0',
    'type',
    'veth',
    'peer',
    'name',
    'lan0',
    'netns',
    name,
  ]);
  await node.run('ip', ['addr', 'add', nodeAddress, 'dev', 'lan0', ...nodad(nodeAddress)]);
  await node.run('ip', ['link', 'set', 'lan0', 'up']);
  await node.run('ip', ['addr', 'add', address, 'dev', 'lan0', ...nodad(address)], outside);
  await node.run('ip', ['link', 'set', 'lan0', 'up'], outside);
  const [gateway = ''] = nodeAddress.split('/');
  await node.run('ip', ['route', 'add', 'default', 'via', gateway], outside);
  return outside;
}

const nodad = (address: string): string[] => (address.includes(':') ? ['nodad'] : []);
