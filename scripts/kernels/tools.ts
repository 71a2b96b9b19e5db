/** What it takes to boot a guest. */
import { ScriptFailure } from '#scripts/world/failure.ts';
import { ensureTools, GUEST_TOOLS } from '#scripts/world/tools.ts';

/** Sees to it that guests can be booted. @throws ScriptFailure that says why not */
export async function ensureGuestTools(): Promise<void> {
  // The guest runs the host's own programs, on an emulated processor of the host's kind.
  if (process.arch !== 'x64')
    throw new ScriptFailure(`Guests are booted on x64, not ${process.arch}`);
  await ensureTools(GUEST_TOOLS);
}
