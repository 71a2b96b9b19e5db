import { scaled } from './test/limits.ts';

export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  timeout: `${scaled(5)}m`,
  nodeArguments: ['--disable-warning=ExperimentalWarning'],
};
