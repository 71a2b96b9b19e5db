/** This process and the children it starts: arguments, environment, standard streams, execa. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { execaSync } from 'execa';
import { poll } from './clock.ts';
import { isSysError, sys, sysError, SysError } from './error.ts';
import { exitIfLoaded } from './libc.ts';
import { unhurried } from './priority.ts';
import { recover } from './recover.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A child that could not be started, or was stopped at its time limit. */
export class ChildError extends Error {
  override name = 'ChildError';
  readonly code: 'timeout' | (string & {});

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** How a child ended, and its output. */
export interface ChildResult {
  /** The exit status; undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** "exit status 1" or "signal: killed". */
  readonly ending: string;
}

/** The most that is read of a child's output. */
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a program with this input and environment and waits for it, timeoutMs at most.
 * @throws ChildError when it cannot be started or does not end in time
 */
export function runChild(
  file: string,
  args: readonly string[],
  options: { input?: Uint8Array; env?: Environment; timeoutMs: number },
): ChildResult {
  const { env, input, timeoutMs } = options;
  const result = unhurried(() =>
    execaSync(file, args, {
      reject: false,
      input: input ?? '',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: OUTPUT_LIMIT_BYTES,
      stripFinalNewline: false,
      ...(env === undefined ? {} : { env, extendEnv: false }),
    }),
  );
  if (result.timedOut) {
    throw new ChildError(`"${file}" did not end within ${timeoutMs / 1000} seconds`, 'timeout');
  }
  if (result.exitCode === undefined && result.signal === undefined) {
    throw new ChildError(
      `Cannot run "${file}": ${result.code ?? result.shortMessage}`,
      result.code ?? '',
    );
  }
  return {
    exitCode: result.exitCode,
    stdout: result.stdout,
    stderr: result.stderr,
    ending:
      result.signal === undefined ? `exit status ${result.exitCode}` : `signal: ${result.signal}`,
  };
}

/** The ELF header's e_machine, and what else a file may begin with that the kernel can execute. */
const ELF_MAGIC = '\x7fELF';
const SCRIPT_MAGIC = '#!';
const E_MACHINE_OFFSET = 18;
const EM_386 = '\x03\x00';
const EM_X86_64 = '\x3e\x00';

/**
 * Why a file can't be a program of this machine; undefined if it may be one. Without this check, a
 * file that the kernel refuses (empty, cut short, for another processor) would be run as a shell
 * script, which might even succeed. @throws SysError
 */
export function executableFault(path: string): string | undefined {
  const start = readStart(path);
  if (start.length === 0) return 'the file is empty';
  const text = start.toString('latin1');
  if (text.startsWith(SCRIPT_MAGIC)) return undefined;
  if (!text.startsWith(ELF_MAGIC)) return 'it is neither an executable nor a script';
  const own = machine(readStart(OWN_EXECUTABLE));
  const runs = machine(start) === own || (own === EM_X86_64 && machine(start) === EM_386);
  return runs ? undefined : 'it is for another processor';
}

const machine = (start: Buffer): string =>
  start.toString('latin1', E_MACHINE_OFFSET, E_MACHINE_OFFSET + 2);

function readStart(path: string): Buffer {
  const buffer = Buffer.alloc(E_MACHINE_OFFSET + 2);
  return sys(() => {
    const fd = openSync(path, 'r');
    try {
      return buffer.subarray(0, readSync(fd, buffer));
    } finally {
      closeSync(fd);
    }
  }, path);
}

/** The environment of this process. */
export const environment = (): Environment => process.env;

/** The arguments after the program's name. */
export const programArguments = (): readonly string[] => process.argv.slice(2);

/** The name the program was called by, without folders; Node's own name when run from source. */
export function programName(): string {
  return process.argv0.slice(process.argv0.lastIndexOf('/') + 1);
}

/** The file of the running program, still right after it was replaced on disk. */
export const OWN_EXECUTABLE = '/proc/self/exe';

/** Standard input that is longer than any honest caller sends. */
export class InputTooLong extends Error {
  override name = 'InputTooLong';
}

/**
 * All of standard input. @throws InputTooLong above limitBytes; SysError, ETIMEDOUT if it is not
 * ready for long
 */
export function readStdin(limitBytes: number): Buffer {
  const chunks: Buffer[] = [];
  for (let total = 0; ;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const count = whenReady('standard input', () => readSync(0, chunk));
    if (count === 0) return Buffer.concat(chunks);
    total += count;
    if (total > limitBytes) {
      throw new InputTooLong(`Standard input is longer than ${limitBytes} bytes`);
    }
    chunks.push(chunk.subarray(0, count));
  }
}

/**
 * Writes all of a text to standard output. @throws SysError, EPIPE when nobody reads, ETIMEDOUT
 * when nobody reads for long
 */
export const writeStdout = (text: string): void =>
  writeAll({ fd: 1, name: 'standard output' }, text);

/** Writes a line for the log. Nobody may be reading: that is no reason to fail. */
export function log(line: string): void {
  recover(() => writeAll({ fd: 2, name: 'standard error' }, `${line}\n`), sysError());
}

function writeAll({ fd, name }: { fd: number; name: string }, text: string): void {
  let rest: Buffer = Buffer.from(text);
  while (rest.length > 0) {
    rest = rest.subarray(whenReady(name, () => writeSync(fd, rest)));
  }
}

/**
 * How long a caller may keep one of the standard streams from being read or written: kubelet gives
 * a whole ADD two minutes.
 */
const STREAM_LIMIT_MS = 60_000;
const STREAM_POLL_MS = 1;
const STREAM_SLOWEST_MS = 20;

/**
 * Reads or writes when a stream is ready: pipes that the caller made non-blocking answer EAGAIN
 * until then. @throws SysError ETIMEDOUT at the limit
 */
function whenReady(stream: string, body: () => number): number {
  let syscall = '';
  const tryBody = (): number | undefined => {
    try {
      return sys(body);
    } catch (error) {
      if (isSysError(error, 'EOF')) return 0;
      if (!isSysError(error, 'EAGAIN')) throw error;
      ({ syscall } = error);
      return undefined;
    }
  };
  const count = poll(tryBody, {
    everyMs: STREAM_POLL_MS,
    slowestMs: STREAM_SLOWEST_MS,
    limitMs: STREAM_LIMIT_MS,
  });
  if (count !== undefined) return count;
  const reason = `${stream} was not ready within ${STREAM_LIMIT_MS / 1000} seconds`;
  throw new SysError(syscall, 'ETIMEDOUT', { reason });
}

/** Sets the status that the process will end with; it ends when nothing is left to do. */
export function setExitStatus(status: number): void {
  process.exitCode = status;
}

/**
 * Ends the process now, with the status that was set; the caller has nothing open. Node would first
 * free its memory piece by piece, which takes time. No output is lost: every write of ours waits.
 */
export function endProcess(): never {
  exitIfLoaded(Number(process.exitCode ?? 0));
  // oxlint-disable-next-line no-process-exit, unicorn/no-process-exit -- the entry calls it last, when every `using` has ended
  process.exit();
}

/** Whether a person is watching standard error. */
export const stderrIsTerminal = (): boolean => process.stderr.isTTY;
