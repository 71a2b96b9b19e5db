/**
 * Everything that must hold: the checks, the build, and all tests with the packed executables. Installs what they need on
 * Debian. Further arguments go to AVA. The last line counts: "N passed, N failed".
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';

const ROOT = join(import.meta.dirname, '..');

/** Commands that the tests call, and the Debian packages that have them. */
const TOOLS = {
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  nsenter: 'util-linux',
  strip: 'binutils',
  strace: 'strace',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};

async function main(args: readonly string[]): Promise<number> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new NotPrepared('The tests make network namespaces: run them as root on Linux');
  }
  await ensureTools(TOOLS);
  const checked = await npm(['run', 'check']);
  await ensureBuilt();
  const tested = await ava(args);
  console.log(`${tested.passed} passed, ${tested.failed + (checked ? 0 : 1)} failed`);
  return checked && tested.failed === 0 ? 0 : 1;
}

async function npm(args: string[]): Promise<boolean> {
  const { failed } = await execa('npm', args, { cwd: ROOT, stdio: 'inherit', reject: false });
  if (failed) console.log(`npm ${args.join(' ')} failed`);
  return !failed;
}

/** Runs AVA with its own report on the terminal, and reads its counts. */
async function ava(args: readonly string[]): Promise<{ passed: number; failed: number }> {
  const { all, failed } = await execa('ava', args, {
    cwd: ROOT,
    preferLocal: true,
    env: { CNI_TEST_BIN: join('dist', 'bin') },
    stdout: ['inherit', 'pipe'],
    stderr: ['inherit', 'pipe'],
    all: true,
    reject: false,
  });
  // AVA sums up the passed ones only if none failed.
  const passed = all.match(/^\s*✔ /gm)?.length ?? 0;
  const counted = count(all, /(\d+) tests? failed/) + count(all, /(\d+) uncaught exceptions?/);
  // A run that AVA could not even begin, or that it broke off, counts as a failure too.
  return { passed, failed: failed && counted === 0 ? 1 : counted };
}

const count = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof NotPrepared)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
