/** Real traffic: one TCP connection, seen from the receiving side. */
import { join } from 'node:path';
import { execa } from 'execa';
import { inNetns, netnsPath } from '#scripts/world/command.ts';

const PEER = join(import.meta.dirname, 'peer.ts');
const PORT = 8080;

/** Far above what a connection takes, below the kernel's patience with an address that does not answer. */
const TIMEOUT_MS = 5_000;

const peer = (netns: string, ...args: string[]) =>
  inNetns(netnsPath(netns), process.execPath, PEER, ...args);

/**
 * Connects from one namespace to an address of another. @returns the address that the receiver saw the connection come from,
 * if the sender got its answer; else what went wrong
 */
export async function sourceSeen(from: string, to: string, address: string): Promise<string> {
  await using listener = await listen(to);
  const sender = await execa(...peer(from, 'connect', address, String(PORT)), {
    timeout: TIMEOUT_MS,
    reject: false,
  });
  if (sender.timedOut) return 'no connection: timeout';
  if (sender.failed) return `no connection: ${sender.stderr || sender.shortMessage}`;
  const seen = await listener.seen();
  return sender.stdout === seen ? seen : `${seen}, but the answer was "${sender.stdout}"`;
}

/** A receiver that is ready; it takes one connection. */
async function listen(netns: string) {
  const process = execa(...peer(netns, 'listen', String(PORT)), { reject: false });
  const lines = process.iterable();
  const next = async () => String((await lines.next()).value ?? 'nothing');
  await next();
  return {
    seen: next,
    async [Symbol.asyncDispose]() {
      process.kill();
      await process;
    },
  };
}
