export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  timeout: '5m',
  nodeArguments: ['--disable-warning=ExperimentalWarning'],
};
