/**
 * Stands in for `ava` in the bundle of a file of tests. AVA's own runner, assertions and TAP, without the process around them: on an
 * emulated processor that takes longer to load than most files of tests take to run. The first argument names the file.
 */
// @ts-expect-error -- AVA does not export it; esbuild is told where it is.
import AvaRunner from 'ava/lib/runner.js';
// @ts-expect-error -- As above.
import AvaTapReporter from 'ava/lib/reporters/tap.js';
import type { TestFn } from 'ava';

/** What AVA's runner tells its reporter of a test. */
type StateChange = Readonly<Record<string, unknown>>;

interface Runner {
  readonly chain: TestFn;
  on(event: 'stateChange', listener: (event: { readonly data: StateChange }) => void): void;
}

interface Reporter {
  prefixTitle: (file: string, title: string) => string;
  consumeStateChange(event: StateChange): void;
}

const [, , file = ''] = process.argv;

const reporter = new (AvaTapReporter as new (options: object) => Reporter)({
  extensions: ['ts'],
  projectDir: process.cwd(),
  reportStream: process.stdout,
  stdStream: process.stderr,
});
reporter.prefixTitle = (_, title) => `${file}: ${title}`;

const options = { file, projectDir: process.cwd() };
const runner = new (AvaRunner as new (options: object) => Runner)(options);
runner.on('stateChange', ({ data }) => reporter.consumeStateChange({ ...data, testFile: file }));

export default runner.chain;
