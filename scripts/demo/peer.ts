/**
 * One end of a TCP connection, for the demo to run in a pod's namespace:
 *   listen PORT             says "listening", then whom the one connection that it takes came from, and tells the other end
 *   connect ADDRESS PORT    says what the other end told
 */
import { createConnection, createServer } from 'node:net';

const [role, ...rest] = process.argv.slice(2);

if (role === 'listen') listen(Number(rest[0]));
else connect(String(rest[0]), Number(rest[1]));

function listen(port: number): void {
  const server = createServer((socket) => {
    const source = socket.remoteAddress ?? '';
    console.log(source);
    socket.end(source);
    server.close();
  });
  // Not on "::": IPv4 addresses would come in IPv6's clothes.
  server.listen(port, '0.0.0.0', () => console.log('listening'));
}

function connect(host: string, port: number): void {
  const socket = createConnection({ host, port });
  socket.pipe(process.stdout);
  socket.on('error', ({ message }) => {
    console.error(message);
    process.exitCode = 1;
  });
}
