/**
 * The programs that the executable holds: which one runs is decided by the name it was called by.
 * Each is named here before it is touched: the build loads a program's modules at the first touch,
 * and a call pays for no other program.
 */
import { cnitool } from '#cmd/cnitool/main.ts';
import type { AnyPlugin, Builtins } from '#lib/cni/plugin.ts';
import { bandwidth } from '#plugins/bandwidth/main.ts';
import { bridge } from '#plugins/bridge/main.ts';
import { firewall } from '#plugins/firewall/main.ts';
import { flannel } from '#plugins/flannel/main.ts';
import { hostLocal } from '#plugins/host-local/main.ts';
import { loopback } from '#plugins/loopback/main.ts';
import { portmap } from '#plugins/portmap/main.ts';
import { ptp } from '#plugins/ptp/main.ts';
import { staticIpam } from '#plugins/static/main.ts';
import { tuning } from '#plugins/tuning/main.ts';

/** Plugins by name, in the order in which they are listed and installed. */
const PLUGINS: ReadonlyMap<string, () => AnyPlugin> = new Map<string, () => AnyPlugin>([
  ['flannel', () => flannel],
  ['bridge', () => bridge],
  ['ptp', () => ptp],
  ['loopback', () => loopback],
  ['host-local', () => hostLocal],
  ['static', () => staticIpam],
  ['portmap', () => portmap],
  ['bandwidth', () => bandwidth],
  ['firewall', () => firewall],
  ['tuning', () => tuning],
]);

/** A program that is no plugin, but may run those built in. */
type Program = (args: readonly string[], builtins: Builtins) => void;

/** Programs that are no plugins, but for cni-suite itself. */
const COMMANDS: ReadonlyMap<string, () => Program> = new Map([['cnitool', () => cnitool]]);

/** Names of the plugins. */
export const PLUGIN_NAMES: readonly string[] = [...PLUGINS.keys()];

/** Names of the other programs. */
export const COMMAND_NAMES: readonly string[] = [...COMMANDS.keys()];

/** The plugin of a name, or undefined. */
export const findPlugin: Builtins = (name) => PLUGINS.get(name)?.();

/** The other program of a name, or undefined. */
export const findCommand = (name: string): Program | undefined => COMMANDS.get(name)?.();
