/** The programs that the executable holds: which one runs is decided by the name it was called by. */
import { cnitool } from '#cmd/cnitool/main.ts';
import type { AnyPlugin, Builtins } from '#lib/cni/plugin.ts';
import { bridge } from '#plugins/bridge/main.ts';
import { flannel } from '#plugins/flannel/main.ts';
import { hostLocal } from '#plugins/host-local/main.ts';

/** Plugins by name. Each is loaded when it is asked for: the build makes these imports lazy. */
const PLUGINS: Readonly<Record<string, () => AnyPlugin>> = {
  flannel: () => flannel,
  bridge: () => bridge,
  'host-local': () => hostLocal,
};

/** Names of the plugins, in the order in which they are listed and installed. */
export const PLUGIN_NAMES: readonly string[] = Object.keys(PLUGINS);

/** A program that is no plugin, but may run those built in. */
type Program = (args: readonly string[], builtins: Builtins) => void;

/** Programs that are no plugins, but for cni-suite itself. */
const COMMANDS: Readonly<Record<string, () => Program>> = {
  cnitool: () => cnitool,
};

/** Names of those programs. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** The plugin of a name, or undefined. */
export const findPlugin: Builtins = (name) =>
  Object.hasOwn(PLUGINS, name) ? PLUGINS[name]?.() : undefined;

/** The other program of a name, or undefined. */
export const findCommand = (name: string): Program | undefined =>
  Object.hasOwn(COMMANDS, name) ? COMMANDS[name]?.() : undefined;
