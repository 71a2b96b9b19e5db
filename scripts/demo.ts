/**
 * npm run demo: two nodes, four pods, real traffic, in a few seconds. Needs root on Linux. Everything happens in namespaces
 * that exist for this program alone: the machine's own network is not touched, and when the program ends, however it ends,
 * the kernel takes all of it away. demo/show.ts is the demo.
 */
import { ensureBuilt } from './world/built.ts';
import { ScriptFailure } from './world/failure.ts';
import { runScript } from './world/script.ts';
import { ensureTools } from './world/tools.ts';

const INTRODUCTION = `
A cluster of two nodes, whose flannel uses host-gw and does not masquerade (FLANNEL_IPMASQ=false), and a host outside.
The pods come through conf/10-flannel.conflist and the executables in dist/bin: flannel, bridge and host-local.`;

await runScript({
  name: 'demo',
  tools: ['ip', 'mount', 'nsenter', 'setpriv', 'unshare'],
  parse: () => undefined,
  async outside(_, enter) {
    // Without nft one row of the table is skipped, without strip the executable is larger.
    await ensureTools(['nft', 'strip']).catch(tellAndGoOn);
    await ensureBuilt();
    return enter();
  },
  async inside() {
    console.log(INTRODUCTION);
    const { show } = await import('./demo/show.ts');
    return (await show()) ? 0 : 1;
  },
});

function tellAndGoOn(error: unknown): void {
  if (!(error instanceof ScriptFailure)) throw error;
  console.log(`Going on without: ${error.message}`);
}
