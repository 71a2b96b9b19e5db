/** The priority of a process that holds a lock, and of the children that it starts meanwhile. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { lockFile } from '#lib/sys/lock.ts';
import { hurry } from '#lib/sys/priority.ts';
import { runChild } from '#lib/sys/process.ts';
import { temporaryFolder } from '#test/folder.ts';

/** proc(5): the field "nice" of a process's stat, counted from the first one after its name. */
const NICE_FIELD = 16;

const niceIn = (stat: string): number =>
  Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[NICE_FIELD]);

const childNice = (): number =>
  niceIn(runChild('cat', ['/proc/self/stat'], { timeoutMs: 10_000 }).stdout);

const ownNice = (): number => niceIn(readFileSync('/proc/self/stat', 'utf8'));

test.serial('a child that is started under a lock does not inherit the raised priority', (t) => {
  const usual = getPriority();
  const path = join(temporaryFolder(t), 'lock');
  using lock = lockFile(path, 0o600);
  t.truthy(lock);
  const raised = ownNice();
  if (raised === usual) t.log('without CAP_SYS_NICE no priority is raised');
  t.is(childNice(), usual);
  t.is(ownNice(), raised, 'the lock is still held');
});

test.serial('of two locks the last to be given back ends the raised priority', (t) => {
  const usual = getPriority();
  const outer = hurry();
  const raised = ownNice();
  {
    using _inner = hurry();
    t.is(childNice(), usual);
  }
  t.is(ownNice(), raised);
  outer[Symbol.dispose]();
  t.is(ownNice(), usual);
  t.is(childNice(), usual);
});
