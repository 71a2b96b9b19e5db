/**
 * The linter's rules, and with them the direction of imports: one table of rooms, from which a fence for each room follows. What a
 * room is not said to import is refused, so that a new room starts with nothing. test/fence.test.ts shows that each fence stops.
 */
import { builtinModules } from 'node:module';
import { defineConfig, type OxlintOverride } from 'oxlint';

/** A room: a folder of product code with what it may import beside its own files. */
interface Room {
  /** Other rooms and single modules, as the imports name them. */
  readonly imports: readonly string[];
  /** Libraries that only this room may import. */
  readonly libraries?: readonly string[];
}

const BASE = ['#lib/addr/**', '#lib/sys/**'];
const KERNEL = [...BASE, '#lib/net/**', '#lib/netfilter/**'];
const PROTOCOL = [...KERNEL, '#lib/cni/**', '#lib/ownership/**'];
const LIBRARY = '#lib/**';

/** Rooms from the bottom up. The last one that fits a file is its room: a new one has no imports until it stands here. */
const ROOMS: Readonly<Record<string, Room>> = {
  lib: { imports: [] },
  cmd: { imports: [] },
  'lib/addr': { imports: [], libraries: ['ip-address'] },
  'lib/sys': { imports: ['#lib/addr/**', '#package.json'], libraries: ['node:*', 'execa'] },
  'lib/net': { imports: BASE },
  'lib/netfilter': { imports: [...BASE, '#lib/net/**'] },
  'lib/flannel': { imports: BASE },
  'lib/cni': { imports: KERNEL, libraries: ['zod/mini'] },
  'lib/ownership': { imports: [...KERNEL, '#lib/cni/**'] },
  'lib/container-link': { imports: PROTOCOL },
  'lib/ipam': { imports: PROTOCOL },
  'lib/masquerade': { imports: PROTOCOL },
  plugins: { imports: [LIBRARY] },
  'cmd/cnitool': { imports: [LIBRARY] },
  'cmd/cni-suite': {
    imports: [LIBRARY, '#plugins/*/main.ts', '#cmd/cnitool/main.ts'],
  },
};

/** Every import that is not a file of the same folder. */
const EVERYTHING = ['#*', '#*/**', 'node:*', '../**', 'execa', 'ip-address', 'zod', 'zod/**'];

/** Node's modules without `node:`: a second name for the same door. */
const BUILTINS = builtinModules.filter((name) => !name.startsWith('_'));

function fence(room: string, { imports, libraries = [] }: Room): OxlintOverride {
  const allowed = [...imports, ...libraries];
  return {
    files: [`${room}/**`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: BUILTINS.map((name) => ({ name, message: `Import "node:${name}", in lib/sys` })),
          patterns: [
            {
              group: [...EVERYTHING, ...allowed.map((pattern) => `!${pattern}`)],
              message: `${room} imports its own folder${allowed.length > 0 ? ` and ${allowed.join(', ')}` : ''} alone`,
            },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        ...(room === 'lib/sys'
          ? []
          : [{ name: 'process', message: 'lib/sys is the door to the process' }]),
      ],
    },
  };
}

/** Where schemas of a program stand. */
const CONFIG: OxlintOverride[] = ['plugins', 'cmd/cnitool'].map((room) => ({
  ...fence(room, { imports: [LIBRARY], libraries: ['zod/mini'] }),
  files: [`${room}/**/config.ts`],
}));

const WORLD = '#scripts/world/**';
const PRODUCT = ['#lib/**', '#plugins/**', '#cmd/**'];

/**
 * What tests and scripts may import beside their own folder and libraries. Everything rests on scripts/world, which rests on nothing;
 * tests use no other script but that which they are about; scripts of one kind use nothing of another's.
 */
const WORKSHOPS: Readonly<Record<string, readonly string[]>> = {
  test: [...PRODUCT, WORLD, '#test/**'],
  scripts: [...PRODUCT, WORLD, '#test/**'],
  'scripts/world': [],
  'scripts/build': [WORLD],
  'scripts/demo': [...PRODUCT, WORLD],
  'scripts/bench': [...PRODUCT, WORLD, '#scripts/build/**'],
  'scripts/fuzz': [...PRODUCT, WORLD, '#test/**'],
  'scripts/kernels': [WORLD],
  'test/scripts': [WORLD, '#test/**', '#scripts/**'],
};

const workshopFence = (room: string, imports: readonly string[]): OxlintOverride => ({
  files: [`${room}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: ['#*', '#*/**', '../**', ...imports.map((pattern) => `!${pattern}`)],
            message: `${room} imports its own folder, libraries${imports.map((pattern) => `, ${pattern}`).join('')}`,
          },
        ],
      },
    ],
  },
});

export default defineConfig({
  plugins: ['typescript', 'import', 'unicorn', 'node'],
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  options: { typeAware: true },
  rules: {
    'max-lines': ['error', { max: 300, skipComments: false }],
    'max-lines-per-function': ['error', { max: 60 }],
    'max-params': ['error', { max: 5 }],
    'max-depth': ['error', { max: 3 }],
    'import/no-default-export': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': 'error',
    'no-process-exit': 'error',
    'unicorn/no-process-exit': 'error',
    'import/no-unassigned-import': 'off',
    'no-underscore-dangle': 'off',
    'typescript/restrict-template-expressions': 'off',
    'typescript/no-base-to-string': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
  },
  overrides: [
    ...Object.entries(ROOMS).map(([room, rules]) => fence(room, rules)),
    ...CONFIG,
    ...Object.entries(WORKSHOPS).map(([room, imports]) => workshopFence(room, imports)),
    {
      files: ['test/**', 'scripts/**', '*.config.*'],
      rules: {
        'import/no-default-export': 'off',
        'max-lines-per-function': 'off',
        'no-await-in-loop': 'off',
      },
    },
  ],
});
