/**
 * Stands at the one door to the operating system: what lib/sys calls of node:fs, node:child_process and the C library. Loaded
 * before the plugin, in its process; the plugin's code is what is packed. Counts the calls, and lets one of them fail or be the last.
 */
import { constants } from 'node:os';
import {
  type CallKind,
  type DoorCall,
  type Fault,
  FAULT_VARIABLE,
  TRACE_VARIABLE,
} from './fault.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- functions of any shape are wrapped and called as they were
type Callable = (...args: any[]) => any;

const fs = process.getBuiltinModule('node:fs') as unknown as Record<string, Callable>;
const ffi = process.getBuiltinModule('node:ffi') as unknown as Record<string, Callable>;
const childProcess = process.getBuiltinModule('node:child_process') as unknown as Record<
  string,
  Callable
>;

const fault = JSON.parse(process.env[FAULT_VARIABLE] ?? 'null') as Fault | null;
const calls: DoorCall[] = [];
const writeTrace = fs['writeFileSync'];
let met: CallKind | undefined;

process.on('exit', () => {
  const path = process.env[TRACE_VARIABLE];
  if (path !== undefined) writeTrace?.(path, JSON.stringify(calls));
});

/** Notes a call. @returns what is to happen to it */
function pass(call: DoorCall): Fault['effect'] | undefined {
  calls.push(call);
  if (fault === null || fault.effect === 'EINTR') return undefined;
  const isMet = calls.length - 1 === fault.at;
  if (isMet) met = call.kind;
  return isMet || (fault.lasts === true && isSame(call)) ? fault.effect : undefined;
}

/** Whether a call meets what a call before it met. */
function isSame(call: DoorCall): boolean {
  if (met === undefined) return false;
  return isDisk(met) ? isDisk(call.kind) && takesRoom(call) : met === call.kind;
}

const isDisk = (kind: CallKind): boolean => kind === 'create' || kind === 'write';

/** The kernel's own files are on no disk; a full one lets what is there be opened, and times be set. */
function takesRoom({ change }: DoorCall): boolean {
  if (change === undefined || change.path.startsWith('/proc/')) return false;
  const isThere = change.op === 'open' && fs['existsSync']?.(change.path) === true;
  return !isThere && change.op !== 'utimes';
}

const errno = (code: string): number =>
  (constants.errno as Readonly<Record<string, number>>)[code] ?? constants.errno.EIO;

const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** Runs a call of Node's with its fault. */
function run<T>(call: DoorCall, syscall: string, body: () => T): T {
  const effect = pass(call);
  if (effect !== undefined && effect !== 'SIGKILL') {
    const error = new Error(`${effect}: injected, ${syscall}`);
    throw Object.assign(error, { code: effect, errno: -errno(effect), syscall });
  }
  try {
    return body();
  } finally {
    if (effect === 'SIGKILL') die();
  }
}

function wrap(name: string, describe: (...args: unknown[]) => DoorCall | undefined): void {
  const original = fs[name] as Callable;
  fs[name] = (...args: unknown[]) => {
    const call = describe(...args);
    const body = (): unknown => original(...args);
    return call === undefined ? body() : run(call, name.replace(/Sync$/, ''), body);
  };
}

const WRITING = constantsOf('O_WRONLY', 'O_RDWR', 'O_CREAT');

function constantsOf(...names: string[]): number {
  const all = fs['constants'] as unknown as Readonly<Record<string, number>>;
  return names.reduce((bits, name) => bits | (all[name] ?? 0), 0);
}

/** The paths of the descriptors that are open for writing. */
const written = new Map<unknown, string>();

const isWriting = (flags: unknown): boolean =>
  typeof flags === 'number' ? (flags & WRITING) !== 0 : flags !== undefined && flags !== 'r';

wrap('openSync', (path, flags) =>
  isWriting(flags)
    ? { kind: 'create', what: `open ${String(path)}`, change: { op: 'open', path: String(path) } }
    : undefined,
);
const openCounted = fs['openSync'] as Callable;
fs['openSync'] = (path: unknown, flags: unknown, mode: unknown) => {
  const fd: unknown = openCounted(path, flags, mode);
  if (isWriting(flags)) written.set(fd, String(path));
  return fd;
};
wrap('writeSync', (fd, content) => {
  if (fd === 2) return undefined;
  if (fd === 1) return { kind: 'print', what: 'print' };
  const path = written.get(fd) ?? '';
  return {
    kind: 'write',
    what: `write ${path}`,
    change: { op: 'write', path, content: String(content) },
  };
});
wrap('mkdirSync', (name) => {
  const path = String(name);
  return { kind: 'create', what: `mkdir ${path}`, change: { op: 'mkdir', path } };
});
for (const op of ['link', 'rename'] as const) {
  wrap(`${op}Sync`, (from, target) => {
    const [path, to] = [String(from), String(target)];
    return { kind: 'create', what: `${op} ${path} ${to}`, change: { op, path, to } };
  });
}
wrap('utimesSync', (name, seconds) => {
  const path = String(name);
  const change = { op: 'utimes', path, seconds: Number(seconds) } as const;
  return { kind: 'create', what: `utimes ${path}`, change };
});
for (const name of ['chmodSync', 'writeFileSync']) {
  wrap(name, (path) => ({ kind: 'create', what: `${name} ${String(path)}` }));
}
wrap('unlinkSync', (name) => {
  const path = String(name);
  return { kind: 'remove', what: `unlink ${path}`, change: { op: 'unlink', path } };
});
for (const name of ['rmdirSync', 'rmSync']) {
  wrap(name, (path) => ({ kind: 'remove', what: `${name} ${String(path)}` }));
}

const spawnSync = childProcess['spawnSync'] as Callable;
childProcess['spawnSync'] = (file: string, args: unknown[], options: unknown) =>
  run({ kind: 'child', what: `run ${file} ${String(args)}` }, 'spawnSync', () =>
    spawnSync(file, args, options),
  );

/** linux/netlink.h: where a message's type and flags stand, and what begins a batch. */
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
const NLM_F_MULTI = 0x02;
const NLM_F_DUMP_INTR = 0x10;

/** Subsystems of nfnetlink, by the upper byte of the type, and their messages that only ask. */
const NETFILTER_QUESTIONS: Readonly<Record<number, readonly number[]>> = {
  1: [1, 4, 5],
  10: [1, 4, 7, 10, 13, 16, 19, 22, 23],
};

/** rtnetlink numbers its messages in fours: new, delete, get, set. */
function asks(type: number): boolean {
  const questions = NETFILTER_QUESTIONS[type >> 8];
  return questions === undefined ? type !== 16 && type % 4 === 2 : questions.includes(type & 0xff);
}

const loadLibrary = ffi['dlopen'] as Callable;
ffi['dlopen'] = (...args: unknown[]) => {
  const { lib, functions } = loadLibrary(...args) as {
    lib: unknown;
    functions: Record<string, Callable>;
  };
  const errnoAt = functions['__errno_location']?.() as bigint;
  const fail = (code: string): bigint => {
    ffi['setInt32']?.(errnoAt, 0, errno(code));
    return -1n;
  };
  const send = functions['send'] as Callable;
  const recv = functions['recv'] as Callable;
  return {
    lib,
    functions: {
      ...functions,
      // oxlint-disable-next-line no-process-exit, unicorn/no-process-exit -- the trace is written when Node ends, which this would leave out
      _exit: (status: number) => process.exit(status),
      send(fd: number, bytes: Uint8Array, ...rest: unknown[]): bigint {
        if (isInterrupted()) return fail('EINTR');
        const type = Buffer.from(bytes).readUInt16LE(TYPE_OFFSET);
        const effect = pass({ kind: asks(type) ? 'ask' : 'change', what: `send ${type}` });
        if (effect !== undefined && effect !== 'SIGKILL') return fail(effect);
        const sent = send(fd, bytes, ...rest) as bigint;
        if (effect === 'SIGKILL') die();
        return sent;
      },
      recv(fd: number, buffer: Uint8Array, ...rest: unknown[]): bigint {
        if (isInterrupted()) return fail('EINTR');
        const length = recv(fd, buffer, ...rest) as bigint;
        return length < 0n ? length : receive(buffer, length, fail);
      },
    },
  };
};

let interruptions = 0;

/** Every second netlink call: each is made again after it was interrupted. */
const isInterrupted = (): boolean => fault?.effect === 'EINTR' && ++interruptions % 2 === 1;

const flagsOf = (buffer: Uint8Array): number => buffer[FLAGS_OFFSET] ?? 0;

/** An answer is there: it is passed on, lost, or marked as disturbed. */
function receive(buffer: Uint8Array, length: bigint, fail: (code: string) => bigint): bigint {
  const isList = (flagsOf(buffer) & NLM_F_MULTI) !== 0;
  const effect = pass({ kind: 'answer', what: 'recv', isList });
  if (effect === undefined) return length;
  if (effect !== 'DISTURBED') return fail(effect);
  buffer[FLAGS_OFFSET] = flagsOf(buffer) | NLM_F_DUMP_INTR;
  return length;
}
