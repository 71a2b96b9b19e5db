/** A folder for one test, gone after it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Makes it. @returns its path */
export function temporaryFolder(t: Pick<ExecutionContext, 'teardown'>): string {
  const path = mkdtempSync(join(tmpdir(), 'cni-test-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
