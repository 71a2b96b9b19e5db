/**
 * The networks of a folder (NETCONFPATH), found and loaded as libcni does it; its rules are in
 * libcni/conf.go.
 */
import { CniError, CODE, step, toCniError } from '#lib/cni/error.ts';
import { isName } from '#lib/cni/environment.ts';
import { isFolder, join, listFolder, dirname, readText } from '#lib/sys/file.ts';
import { type NetworkConfig, parseListFile, parsePluginFile, type PluginEntry } from './config.ts';

/** A network, ready to be used: it has one plugin at least. */
export interface Network extends NetworkConfig {
  /** The file that it comes from. */
  readonly file: string;
  /**
   * The list as the result cache keeps it: the file's text, or a list made of a file of one plugin.
   */
  readonly text: string;
}

/** A file that holds no usable network. */
export interface BrokenFile {
  readonly file: string;
  readonly fault: string;
}

/**
 * The first network of this name: lists come before files of one plugin. @throws CniError, also for
 * a broken file before it
 */
export function findNetwork(folder: string, name: string): Network {
  const files = listFiles(folder);
  for (const file of files) {
    const network = loadNetwork(file);
    if (network.name === name) return network;
  }
  if (files.length === 0) {
    const details = `put a .conflist file there, or name another folder in NETCONFPATH`;
    throw new CniError(CODE.INVALID_CONFIG, `no net configurations found in ${folder}`, details);
  }
  throw new CniError(
    CODE.INVALID_CONFIG,
    `no net configuration with name "${name}" in ${folder}`,
    '"cnitool list" shows those that are there',
  );
}

/** Every file of a folder, in the order in which they are searched. @throws SysError */
export function listNetworks(folder: string): (Network | BrokenFile)[] {
  return listFiles(folder).map((file) => {
    try {
      return load(file);
    } catch (error) {
      return { file, fault: toCniError(error).message };
    }
  });
}

function listFiles(folder: string): string[] {
  const lists = filesOf(folder, '.conflist');
  return [...lists, ...filesOf(folder, '.conf', '.json')];
}

function filesOf(folder: string, ...extensions: readonly string[]): string[] {
  return listFolder(folder)
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .toSorted()
    .map((name) => join(folder, name))
    .filter((path) => !isFolder(path));
}

/** Loads a file of either kind. @throws CniError that names it */
const loadNetwork = (file: string): Network => step(`Cannot load "${file}"`, () => load(file));

const load = (file: string): Network =>
  file.endsWith('.conflist') ? loadList(file) : loadSinglePlugin(file);

function loadList(file: string): Network {
  const text = readText(file);
  const config = parseListFile(text);
  const plugins = [
    ...config.plugins,
    ...(config.loadOnlyInlinedPlugins ? [] : loadPluginFolder(dirname(file), config.name)),
  ];
  if (plugins.length === 0) throw new CniError(CODE.INVALID_CONFIG, 'no plugin configs found');
  return { ...config, plugins, file, text };
}

/** Plugins that stand in files of their own, in the folder of the network's name. */
function loadPluginFolder(folder: string, name: string): PluginEntry[] {
  // No such name can be used: it must not lead out of the folder either.
  if (!isName(name)) return [];
  return filesOf(join(folder, name), '.conf').map((file) =>
    step(`Cannot load "${file}"`, () => parsePluginFile(readText(file))),
  );
}

/** A file of one plugin becomes a list of one plugin. */
function loadSinglePlugin(file: string): Network {
  const { name, cniVersion, json } = parsePluginFile(readText(file));
  const text = JSON.stringify({ cniVersion, name, plugins: [json] });
  return { ...parseListFile(text), file, text };
}
