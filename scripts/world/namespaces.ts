/**
 * A script's private world: a network, a mount and a PID namespace of its own. The program inside is its first process; when
 * that ends, the kernel ends all others, and with the last one go the namespaces, with all links, rules and files in them.
 * So there is no clean-up that could be forgotten, or that a Ctrl-C or a crash could cut short.
 */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { execa, execaSync } from 'execa';
import { ownScript, run } from './command.ts';
import { ScriptFailure } from './failure.ts';

/** --mount-proc: /proc/sys must be that of the new namespaces, and writable. */
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Names the network namespace that this process is in. */
const ownNetns = (): string => readlinkSync('/proc/self/ns/net');

/**
 * Runs a script of ours in a new world, given the name of the machine's network namespace as last argument. A signal to this
 * process, even SIGKILL, ends the world. @returns the exit status @throws ScriptFailure without permission or kernel support
 */
export async function runInWorld(file: string, args: readonly string[]): Promise<number> {
  refuseWithoutNamespaces();
  const [node, nodeArgs] = ownScript(file, ...args, ownNetns());
  // unshare dies with this process (pdeathsig), and the first process of the world with unshare (kill-child).
  const world = execa(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', ...NAMESPACES, node, ...nodeArgs],
    {
      stdin: 'ignore',
      stdout: 'inherit',
      stderr: 'inherit',
      reject: false,
    },
  );
  let interrupted: NodeJS.Signals | undefined;
  for (const name of SIGNALS) {
    process.on(name, () => {
      interrupted = name;
      world.kill('SIGKILL');
    });
  }
  const { exitCode } = await world;
  if (interrupted === undefined) return exitCode ?? 1;
  console.error('\nInterrupted; its namespaces, files and processes are gone');
  return 128 + constants.signals[interrupted];
}

function refuseWithoutNamespaces(): void {
  const mount = ['mount', '-t', 'tmpfs', 'tmpfs', '/run'];
  const probe = execaSync('unshare', [...NAMESPACES, ...mount], { reject: false });
  if (!probe.failed) return;
  const reason = probe.stderr.trim() || probe.shortMessage;
  throw new ScriptFailure(
    `Network, mount and PID namespaces are needed, which this machine refuses: ${reason}`,
  );
}

/**
 * Furnishes the world from inside: an empty /run, so that the names in /run/netns, and all files, are the world's own.
 * @throws ScriptFailure when this process is not in a world, whose /run this would cover
 */
export function enterWorld(machineNetns: string): void {
  if (process.pid !== 1 || machineNetns === '' || ownNetns() === machineNetns) {
    throw new ScriptFailure(
      'This part runs only inside a world that the script has made: leave out --inside',
    );
  }
  run('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
}
