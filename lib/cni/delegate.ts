/**
 * Running another plugin on the way (CNI SPEC §4): found by name in CNI_PATH, in this process if it
 * is this executable.
 */
import { statIfAny } from '#lib/sys/file.ts';
import { poll } from '#lib/sys/clock.ts';
import {
  ChildError,
  type ChildResult,
  type Environment,
  executableFault,
  log,
  OWN_EXECUTABLE,
  runChild,
} from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';
import * as z from 'zod/mini';
import type { Command } from './environment.ts';
import { CniError, CODE } from './error.ts';
import { parseJsonIfAny } from './json.ts';
import { type Builtins, type Call, type Invocation, invoke } from './plugin.ts';
import { parseResultOfAnyVersion, type Result } from './result.ts';
import { shorten } from './shorten.ts';
import { integer, isRecord, object, optional, textOrEmpty } from './schema.ts';

/**
 * Time limits of a delegate's work, and of its DEL if that fails. Kubelet gives the whole call two
 * minutes.
 */
const DELEGATE_LIMIT_MS = 90_000;
const UNDO_LIMIT_MS = 20_000;

/** A file that is being written can't be executed: how long that is waited for. */
const BUSY_LIMIT_MS = 5_000;
const BUSY_RETRY_MS = 100;

/**
 * The variable that counts the plugins that delegate to each other: other executables get it too.
 */
const DEPTH = 'CNI_SUITE_DEPTH';

/** More plugins than this in a row are a configuration that calls itself: three are usual. */
const DEPTH_LIMIT = 8;

/** The part of a call that a delegate gets. */
export interface DelegateCall {
  readonly env: Environment;
  readonly input: Uint8Array;
  readonly builtins: Builtins;
}

/**
 * Runs another plugin's ADD; nothing of it stays if it fails. @throws CniError, the delegate's own
 * with its code
 */
export function delegateAdd(call: Call<unknown>, type: string, input: Uint8Array): Result {
  const found = findPlugin(type, call);
  const delegateCall = { ...call, input };
  using undo = new DisposableStack();
  // Our plugins undo their own failures. For others the specification wants a DEL, which may fail
  // as the ADD did.
  if (found.builtin === undefined) {
    const deleteAgain = () => void run(found, delegateCall, 'DEL', UNDO_LIMIT_MS);
    undo.defer(() => recover(deleteAgain, instanceOf(Error)));
  }
  const delivered: Result[] = [];
  const text = run(found, { ...delegateCall, deliver: (result) => delivered.push(result) }, 'ADD');
  const result =
    delivered[0] ??
    parseResultOfAnyVersion(parseOutput(text, type), call.cniVersion, `result of plugin "${type}"`);
  undo.move();
  return result;
}

/**
 * Runs a plugin's ADD for a runtime. If it fails, no DEL follows: that is the runtime's task.
 * @returns the printed document
 * @throws CniError
 */
export function runtimeAdd(call: DelegateCall, type: string): Record<string, unknown> {
  return parseOutput(run(findPlugin(type, call), call, 'ADD'), type);
}

/** Runs another plugin's CHECK, DEL, GC or STATUS, which answer nothing. @throws CniError */
export function delegateCommand(
  call: DelegateCall,
  type: string,
  command: Exclude<Command, 'ADD' | 'VERSION'>,
): void {
  run(findPlugin(type, call), call, command);
}

/** Whether a plugin could be run. @throws CniError that says where it was looked for */
export function requirePlugin(call: DelegateCall, type: string): void {
  findPlugin(type, call);
}

function run(
  found: Found,
  call: DelegateCall & Pick<Invocation, 'deliver'>,
  command: Command,
  timeoutMs: number = DELEGATE_LIMIT_MS,
): string {
  const depth = Number(call.env[DEPTH] ?? 0) + 1;
  if (depth > DEPTH_LIMIT) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      'Plugins delegate to each other in a circle',
      'see "type" and "ipam.type"',
    );
  }
  const env = { ...call.env, CNI_COMMAND: command, [DEPTH]: String(depth) };
  if (found.builtin === undefined) return execute(found.path, { ...call, env }, timeoutMs);
  const { input, builtins, deliver } = call;
  let answer = '';
  const print = (text: string): void => void (answer = text);
  const readInput = () => input;
  invoke(found.builtin, { env, builtins, readInput, print, deliver, isDelegate: true });
  return answer;
}

type Found =
  | { readonly builtin: NonNullable<ReturnType<Builtins>> }
  | { readonly builtin: undefined; readonly path: string };

/**
 * Looks a plugin up: the file in CNI_PATH, unless that is this very executable; failing that, the
 * one built in.
 */
function findPlugin(type: string, { env, builtins }: Omit<DelegateCall, 'input'>): Found {
  if (type === '') throw notFound('no plugin name provided');
  if (/[/\0]/.test(type)) throw notFound(`invalid plugin name: ${shorten(type)}`);
  const folders = (env['CNI_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  const builtin = builtins(type);
  const searched = `plugin "${shorten(type)}" in path [${shorten(folders.join(' '))}]`;
  for (const folder of folders) {
    const path = `${folder}/${type}`;
    const stat = statIfAny(path);
    if (!stat?.isFile) continue;
    const isOwn = stat.id === statIfAny(OWN_EXECUTABLE)?.id;
    return isOwn && builtin !== undefined ? { builtin } : { builtin: undefined, path };
  }
  if (builtin !== undefined) {
    log(`cni-suite: no ${searched}, running the one built in`);
    return { builtin };
  }
  if (folders.length === 0) throw notFound('no paths provided: CNI_PATH is empty');
  throw notFound(
    `failed to find ${searched}`,
    `install it there; "cni-suite list" names those that come with this executable`,
  );
}

/** There is no such plugin in CNI_PATH, nor in this executable. */
export class PluginNotFound extends CniError {}

const notFound = (message: string, details = ''): PluginNotFound =>
  new PluginNotFound(CODE.INTERNAL, message, details);

/** The executable is being written. */
const isBusy = (error: unknown): error is ChildError =>
  error instanceof ChildError && error.code === 'ETXTBSY';

/** Runs the plugin's executable. @throws CniError */
function execute(path: string, { env, input }: DelegateCall, timeoutMs: number): string {
  const fault = executableFault(path);
  if (fault !== undefined) {
    throw new CniError(
      CODE.INTERNAL,
      `Cannot run "${path}": exec format error: ${fault}`,
      'install the plugin again',
    );
  }
  const tryExecute = () => recover(() => runChild(path, [], { env, input, timeoutMs }), isBusy);
  const result = poll(tryExecute, { everyMs: BUSY_RETRY_MS, limitMs: BUSY_LIMIT_MS });
  if (result === undefined) {
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `Cannot run "${path}": it is being replaced (text file busy)`,
    );
  }
  if (result.exitCode !== 0) throw delegateError(path, result);
  if (result.stderr !== '') log(result.stderr.trimEnd());
  return result.stdout;
}

/** How much of a failed delegate's standard error is reported: its end. */
const STDERR_LIMIT = 2000;

/** The specification's error document. */
const ErrorDocument = object(() => ({
  code: optional(integer(0), 0),
  msg: textOrEmpty,
  details: textOrEmpty,
}));

/** The error of a failed delegate: its own if it printed one, else its output. */
function delegateError(path: string, { stdout, stderr, ending }: ChildResult): CniError {
  if (stdout.trim() === '') {
    const words = stderr.trim().slice(-STDERR_LIMIT);
    const reason = words === '' ? 'with no error message' : `"${words}"`;
    return new CniError(CODE.INTERNAL, `netplugin failed: ${reason}: ${ending}`, `plugin ${path}`);
  }
  const document = z.safeParse(ErrorDocument, parseJsonIfAny(stdout));
  if (!document.success) {
    const message = `netplugin failed but error parsing its diagnostic message "${shorten(stdout.trim())}"`;
    return new CniError(CODE.INTERNAL, message, `plugin ${path}, ${ending}`);
  }
  const { code, msg, details } = document.data;
  if (msg === '')
    return new CniError(
      code || CODE.INTERNAL,
      `netplugin failed without a message: ${ending}`,
      `plugin ${path}`,
    );
  return new CniError(code, msg, details);
}

/**
 * The result that a delegate printed; null stands for an empty one. @throws CniError
 * DECODING_FAILURE
 */
function parseOutput(text: string, type: string): Record<string, unknown> {
  const json = parseJsonIfAny(text);
  if (json === null) return {};
  if (!isRecord(json)) {
    throw new CniError(
      CODE.DECODING_FAILURE,
      `Cannot read the result of plugin "${type}": not a JSON object`,
      shorten(text),
    );
  }
  return json;
}
