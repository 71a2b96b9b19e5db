/** A folder for one test, gone after it. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Makes it. @returns its path */
export function temporaryFolder(t: Pick<ExecutionContext, 'teardown'>): string {
  const path = mkdtempSync(join(tmpdir(), 'cni-test-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Writes a program of the shell's. */
export function writeProgram(path: string, script: string): void {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** A file that no call has any business with, outside of all folders of state. */
export interface Victim {
  readonly path: string;
  /** Whether it is there, with the content and the mode that it had. */
  readonly isUntouched: () => boolean;
}

/** Makes one that a planted link may lead to. */
export function plantVictim(t: Pick<ExecutionContext, 'teardown'>, content: string): Victim {
  const path = join(temporaryFolder(t), 'victim');
  writeFileSync(path, content, { mode: 0o640 });
  const state = () => {
    const { mode, ino, mtimeMs } = statSync(path);
    return [readFileSync(path, 'utf8'), mode, ino, mtimeMs].join();
  };
  const before = state();
  return { path, isUntouched: () => state() === before };
}
