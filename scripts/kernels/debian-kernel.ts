/** Debian's kernels, as users' nodes run them: got by apt and unpacked into dist/kernels, not installed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { ScriptFailure } from '#scripts/world/failure.ts';

const CACHE = join(import.meta.dirname, '..', '..', 'dist', 'kernels');

/** Kernel versions, and the Debian releases whose kernels they are. */
const RELEASES = { '5.10': 'bullseye', '6.1': 'bookworm', '6.12': 'trixie' } as const;

export type KernelVersion = keyof typeof RELEASES;

export const KERNEL_VERSIONS = Object.keys(RELEASES) as KernelVersion[];

/** The package that depends on the release's current kernel. */
const META_PACKAGE = 'linux-image-amd64';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Suites of Debian itself, by the names that a machine's configuration may have. */
const DEBIAN_SUITE = /^(bullseye|bookworm|trixie|oldoldstable|oldstable|stable|testing|sid)$/;

/** Each of apt's steps may take this long. */
const APT_LIMIT_MS = 300_000;

/** A kernel that can be booted. */
export interface Kernel {
  readonly version: KernelVersion;
  /** Name of the Debian release. */
  readonly debian: string;
  /** As `uname -r` says it. */
  readonly release: string;
  /** Path of the image. */
  readonly image: string;
  /** The folder that has lib/modules. */
  readonly root: string;
}

/** A kernel of the cache, downloaded first if it is not there. @throws ScriptFailure with apt's words */
export async function ensureKernel(version: KernelVersion): Promise<Kernel> {
  const folder = join(CACHE, version);
  if (!existsSync(folder)) await download(version, folder);
  return readKernel(version);
}

/** A kernel of the cache. @throws ScriptFailure if it is not there */
export function readKernel(version: KernelVersion): Kernel {
  const root = join(CACHE, version);
  const boot = join(root, 'boot');
  const name = existsSync(boot)
    ? readdirSync(boot).find((file) => file.startsWith('vmlinuz-'))
    : undefined;
  if (name === undefined) throw new ScriptFailure(`There is no kernel in ${root}`);
  const release = name.slice('vmlinuz-'.length);
  return { version, debian: RELEASES[version], release, image: join(boot, name), root };
}

/** The folder appears whole: a download that is broken off leaves none. */
async function download(version: KernelVersion, folder: string): Promise<void> {
  console.log(`Getting Debian's kernel ${version} (${RELEASES[version]})`);
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, `work-${version}-`));
  try {
    const apt = await openSuite(RELEASES[version], work);
    const depends = await apt('apt-cache', 'depends', META_PACKAGE);
    const [, name] = /Depends: (linux-image-\d\S+)/.exec(depends) ?? [];
    if (name === undefined) throw new ScriptFailure(`${META_PACKAGE} names no kernel: ${depends}`);
    await apt('apt-get', '-q', 'download', name);
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb')) ?? '';
    const root = join(work, 'root');
    await run('dpkg-deb', ['-x', join(work, file), root]);
    // From Debian 13 on modules are in usr/lib; depmod and modprobe look for lib.
    if (!existsSync(join(root, 'lib'))) symlinkSync('usr/lib', join(root, 'lib'));
    for (const release of readdirSync(join(root, 'lib', 'modules')))
      await run('depmod', ['-b', root, release]);
    renameSync(root, folder);
  } finally {
    rmSync(work, { recursive: true });
  }
}

type Apt = (file: string, ...args: readonly string[]) => Promise<string>;

/** apt for one suite alone, its lists apart from the machine's. @throws ScriptFailure if no mirror has it */
async function openSuite(suite: string, work: string): Promise<Apt> {
  const sources = join(work, 'sources.list');
  const lists = join(work, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::Lists': lists,
    'Dir::Cache': work,
    // It could not write into a folder that is root's.
    'APT::Sandbox::User': 'root',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt: Apt = (file, ...args) => run(file, [...flags, ...args], work);
  const mirrors = await listMirrors();
  let fault: unknown = new ScriptFailure('apt is configured for no suite of Debian');
  for (const mirror of mirrors) {
    writeFileSync(sources, `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
    try {
      await apt('apt-get', '-q', '-o', 'APT::Update::Error-Mode=any', 'update');
      return apt;
    } catch (error) {
      fault = error;
    }
  }
  throw fault;
}

/** Where the machine gets Debian's packages from. */
async function listMirrors(): Promise<string[]> {
  const format = '$(COMPONENT) $(RELEASE) $(REPO_URI)';
  const targets = await run('apt-get', [
    'indextargets',
    '--format',
    format,
    'Created-By: Packages',
  ]);
  const mirrors = targets
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([component, suite = '']) => component === 'main' && DEBIAN_SUITE.test(suite))
    .map(([, , uri = '']) => uri);
  return [...new Set(mirrors)];
}

async function run(file: string, args: readonly string[], cwd = CACHE): Promise<string> {
  const options = { cwd, stdin: 'ignore', reject: false, timeout: APT_LIMIT_MS } as const;
  const { failed, stdout, stderr, shortMessage } = await execa(file, args, options);
  if (!failed) return stdout;
  const reason = stderr.trim().split('\n').at(-1) || shortMessage;
  throw new ScriptFailure(`"${file} ${args.at(-1)}" failed: ${reason}`);
}
