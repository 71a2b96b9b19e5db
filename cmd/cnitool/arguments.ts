/**
 * cnitool's command line: a command, a network, the path of a namespace, the option for the
 * interface's name.
 */

/** The commands that run a network's plugins; each wants network and namespace. */
const NETWORK_COMMANDS = ['add', 'check', 'del', 'gc', 'status'] as const;

/** One of them. */
type NetworkCommand = (typeof NETWORK_COMMANDS)[number];

/** A command on a network, with its arguments. */
export interface NetworkArguments {
  readonly command: NetworkCommand;
  readonly network: string;
  readonly netnsPath: string;
  /** Undefined or empty: not given. */
  readonly ifName: string | undefined;
}

/** The request on the command line. */
export type Arguments = NetworkArguments | { readonly command: 'list' | 'version' | 'help' };

/** A command line that makes no sense. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The help text. */
export const USAGE = `cnitool: adds namespaces to networks by hand, as a container runtime does

  cnitool add    NETWORK NETNS    adds an interface to the namespace, prints the result
  cnitool check  NETWORK NETNS    checks that the interface is as it was added
  cnitool del    NETWORK NETNS    removes the interface, and everything that belongs to it
  cnitool gc     NETWORK NETNS    removes ALL attachments of the network that are in /var/lib/cni/results,
                                  those of container runtimes too, and what the plugins find left over
  cnitool status NETWORK NETNS    asks whether the plugins are ready to add
  cnitool list                    the networks, and what is attached to them
  cnitool version | help

  NETWORK is the name in the configuration, NETNS a path such as /run/netns/blue.
  -i, --ifname NAME               name of the interface in the namespace (default: CNI_IFNAME, else eth0)

Environment: NETCONFPATH  folder of the configurations (default /etc/cni/net.d)
             CNI_PATH     folders of the plugins, separated by ":"; those that come with cnitool need none
             CNI_ARGS     arguments for the plugins, K=V;K=V
             CAP_ARGS     capability arguments for the plugins, a JSON object
             CNI_IFNAME   name of the interface`;

/** Reads the command line. @throws UsageError */
export function parseArguments(args: readonly string[]): Arguments {
  const { words, ifName, wantsHelp } = parseOptions(args);
  const [command, network, netnsPath] = words;
  if (wantsHelp || command === 'help') return { command: 'help' };
  if (command === undefined) throw new UsageError('a command is missing');
  if (command === 'list' || command === 'version') return { command };
  if (!isNetworkCommand(command)) throw new UsageError(`unknown command "${command}"`);
  if (network === undefined || netnsPath === undefined) {
    throw new UsageError(
      `"${command}" needs a network's name and the path of a namespace, such as "cnitool ${command} mynet /run/netns/blue"`,
    );
  }
  return { command, network, netnsPath, ifName };
}

const isNetworkCommand = (text: string): text is NetworkCommand =>
  (NETWORK_COMMANDS as readonly string[]).includes(text);

interface Options {
  readonly words: string[];
  ifName: string | undefined;
  wantsHelp: boolean;
}

/** -i NAME, -iNAME, -i=NAME, --ifname NAME, --ifname=NAME, anywhere before "--". */
const IFNAME_OPTION = /^(?:--ifname(?:=(.*))?|-i=?(.*))$/s;

function parseOptions(args: readonly string[]): Options {
  const options: Options = { words: [], ifName: undefined, wantsHelp: false };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const match = IFNAME_OPTION.exec(arg);
    if (arg === '--') options.words.push(...rest.splice(0));
    else if (match !== null) options.ifName = (match[1] ?? match[2]) || optionValue(arg, rest);
    else if (arg === '-h' || arg === '--help') options.wantsHelp = true;
    else if (arg.startsWith('-') && arg !== '-') throw new UsageError(`unknown option "${arg}"`);
    else options.words.push(arg);
  }
  return options;
}

function optionValue(option: string, rest: string[]): string {
  // As the reference: an empty name is the same as none.
  const value = option.endsWith('=') ? '' : rest.shift();
  if (value === undefined) throw new UsageError(`option "${option}" needs the interface's name`);
  return value;
}
