/** firewalld over the system bus, by systemd's busctl: pods' addresses as sources of a zone. */
import type { Prefix } from '#lib/addr/prefix.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import { statIfAny } from '#lib/sys/file.ts';
import { ChildError, environment, log, runChild } from '#lib/sys/process.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';

const SERVICE = 'org.fedoraproject.FirewallD1';

/** The objects that are asked: the bus itself, and firewalld. */
const BUS = { service: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus' };
const FIREWALLD = { service: SERVICE, path: '/org/fedoraproject/FirewallD1' };

/**
 * Where the system bus is if DBUS_SYSTEM_BUS_ADDRESS does not say (D-Bus specification, "Well-known
 * Message Bus Instances").
 */
const SOCKET = '/run/dbus/system_bus_socket';

/** firewalld does not answer while it reloads. */
const ANSWER_LIMIT_SECONDS = 20;
const CHILD_LIMIT_MS = 30_000;

/** The answer if nobody listens at the bus's socket. */
const NO_BUS = 'no bus';

/** The answer of a method: its one value, or firewalld's code and words for the failure. */
type Answer =
  | { readonly value: unknown; readonly code?: undefined }
  | { readonly code: string; readonly words: string };

/**
 * Whether firewalld runs. Starts no program if there is no socket of a bus. @throws CniError if the
 * bus can't be asked
 */
export function isFirewalldRunning(): boolean {
  if (!hasBus()) return false;
  const answer = call(BUS, ['org.freedesktop.DBus', 'NameHasOwner', 's', SERVICE]);
  if (answer.code === undefined) return answer.value === true;
  // firewalld needs a bus too: the socket is what a bus left.
  if (answer.code === NO_BUS) return false;
  throw failed('ask whether firewalld runs', answer);
}

/**
 * Whether firewalld runs. A bus that can't be asked counts as none, as for the reference plugin,
 * but the log says so.
 */
export const seesFirewalld = (): boolean =>
  recover(isFirewalldRunning, instanceOf(CniError), ({ message }) => {
    log(`firewall: ${message}; taken for not running`);
    return false;
  });

function hasBus(): boolean {
  const address = environment()['DBUS_SYSTEM_BUS_ADDRESS'];
  if (!address) return statIfAny(SOCKET) !== undefined;
  const [, path] = /^unix:path=([^,;]+)$/.exec(address) ?? [];
  return path === undefined || statIfAny(decodeURIComponent(path)) !== undefined;
}

/**
 * Makes addresses sources of a zone; an address that is one already is accepted. @throws CniError
 * with firewalld's words
 */
export function addSources(zone: string, addresses: readonly Prefix[]): void {
  for (const source of addresses) {
    const answer = callZone('addSource', { zone, source });
    if (answer.code !== undefined && answer.code !== 'ZONE_ALREADY_SET') {
      throw failed(`add source "${source}" to zone "${zone}"`, answer);
    }
  }
}

/** firewalld's codes if there is nothing to remove. */
const ABSENT = new Set(['UNKNOWN_SOURCE', 'NOT_ENABLED', 'INVALID_ZONE']);

/**
 * Removes addresses from the sources of a zone; absence of an address or zone is accepted.
 * @throws CniError with firewalld's words
 */
export function removeSources(zone: string, addresses: readonly Prefix[]): void {
  for (const source of addresses) {
    const answer = callZone('removeSource', { zone, source });
    // Somebody else has made it a source of another zone.
    const isElsewhere = answer.code === 'ZONE_CONFLICT';
    if (answer.code !== undefined && !isElsewhere && !ABSENT.has(answer.code)) {
      throw failed(`remove source "${source}" from zone "${zone}"`, answer);
    }
  }
}

/** The addresses that are no sources of a zone. @throws CniError with firewalld's words */
export function missingSources(zone: string, addresses: readonly Prefix[]): Prefix[] {
  return addresses.filter((source) => {
    const answer = callZone('querySource', { zone, source });
    if (answer.code !== undefined) throw failed(`query zone "${zone}"`, answer);
    return answer.value !== true;
  });
}

const failed = (what: string, { code, words }: { code: string; words: string }): CniError =>
  new CniError(CODE.IO_FAILURE, `Cannot ${what}: ${words}`, code);

const callZone = (method: string, { zone, source }: { zone: string; source: Prefix }): Answer =>
  call(FIREWALLD, [`${SERVICE}.zone`, method, 'ss', zone, String(source)]);

/** Calls a method. @throws CniError if busctl can't be run */
function call({ service, path }: typeof FIREWALLD, method: readonly string[]): Answer {
  const options = ['--system', `--timeout=${ANSWER_LIMIT_SECONDS}`, '--json=short'];
  const { exitCode, stdout, stderr, ending } = runBusctl([
    ...options,
    'call',
    service,
    path,
    ...method,
  ]);
  if (exitCode !== 0) {
    const words = stderr.trim() || ending;
    if (/^Failed to connect to bus/m.test(words)) return { code: NO_BUS, words };
    return { code: /^Call failed: ([A-Z_]+)(?::|$)/m.exec(words)?.[1] ?? 'busctl', words };
  }
  const answer = JSON.parse(stdout || '{}') as { data?: readonly unknown[] };
  return { value: answer.data?.[0] };
}

function runBusctl(args: readonly string[]) {
  try {
    return runChild('busctl', args, { timeoutMs: CHILD_LIMIT_MS });
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    const code = error.code === 'timeout' ? CODE.TRY_AGAIN_LATER : CODE.IO_FAILURE;
    throw new CniError(code, error.message, 'it is part of systemd', { cause: error });
  }
}
