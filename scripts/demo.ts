/**
 * npm run demo: two nodes, four pods, real traffic, in a few seconds. Needs root on Linux. Everything happens in namespaces
 * that exist for this program alone: the machine's own network is not touched, and when the program ends, however it ends,
 * the kernel takes all of it away. This file gets the machine ready and opens that world; demo/show.ts is the demo.
 */
import { DemoFailure } from './demo/failure.ts';
import { enterWorld, runInWorld } from './demo/world.ts';
import { ensureBuilt, ensureTools, NotPrepared } from './prepare.ts';

/** The argument by which this program calls itself, for the part inside. */
const INSIDE = '--inside';

const INTRODUCTION = `
A cluster of two nodes, whose flannel uses host-gw and does not masquerade (FLANNEL_IPMASQ=false), and a host outside.
The pods come through conf/10-flannel.conflist and the executables in dist/bin: flannel, bridge and host-local.`;

const NEEDED = {
  ip: 'iproute2',
  mount: 'mount',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
};

/** Without nft one row of the table is skipped, without strip the executable is larger. */
const WELCOME = { nft: 'nftables', strip: 'binutils' };

async function main([argument, machine = '']: readonly string[]): Promise<number> {
  if (argument === INSIDE) {
    enterWorld(machine);
    console.log(INTRODUCTION);
    const { show } = await import('./demo/show.ts');
    return (await show()) ? 0 : 1;
  }
  if (process.platform !== 'linux') throw new DemoFailure('the demo needs Linux');
  if (process.getuid?.() !== 0) {
    throw new DemoFailure('the demo must be run by root: it makes network namespaces');
  }
  await ensureTools(NEEDED);
  await ensureTools(WELCOME).catch(tellAndGoOn);
  await ensureBuilt();
  return runInWorld([import.meta.filename, INSIDE]);
}

function tellAndGoOn(error: unknown): void {
  if (!(error instanceof NotPrepared)) throw error;
  console.log(`Going on without: ${error.message}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // Anything else is a defect of the demo's: Node shows where.
  if (!(error instanceof DemoFailure || error instanceof NotPrepared)) throw error;
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
}
