import test from 'ava';
import { parseArguments, UsageError } from '#cmd/cnitool/arguments.ts';

const accepts = test.macro({
  exec(t, line: string, ifName: string | undefined) {
    t.deepEqual(parseArguments(line.split(' ')), {
      command: 'add',
      network: 'blue',
      netnsPath: '/n',
      ifName,
    });
  },
  title: (_, line) => `parseArguments() reads "${line}"`,
});

test(accepts, 'add blue /n', undefined);
test(accepts, 'add blue /n more', undefined);
test(accepts, '-i net1 add blue /n', 'net1');
test(accepts, 'add -inet1 blue /n', 'net1');
test(accepts, 'add -i=net1 blue /n', 'net1');
test(accepts, 'add blue --ifname net1 /n', 'net1');
test(accepts, 'add blue /n --ifname=net1', 'net1');
test(accepts, 'add blue /n --ifname=', '');
test(accepts, 'add -- blue /n', undefined);

const refuses = test.macro({
  exec(t, line: string, message: RegExp) {
    const args = line === '' ? [] : line.split(' ');
    t.throws(() => parseArguments(args), { instanceOf: UsageError, message });
  },
  title: (_, line) => `parseArguments() refuses "${line}"`,
});

test(refuses, '', /a command is missing/);
test(refuses, 'frob blue /n', /unknown command "frob"/);
test(refuses, 'gc blue', /"gc" needs a network's name and the path/);
test(refuses, 'add blue /n -x', /unknown option "-x"/);
test(refuses, 'add blue /n --ifname', /option "--ifname" needs/);

const words = test.macro({
  exec(t, line: string, command: 'list' | 'version' | 'help') {
    t.deepEqual(parseArguments(line.split(' ')), { command });
  },
  title: (_, line) => `parseArguments() takes "${line}" alone`,
});

test(words, 'list', 'list');
test(words, 'version', 'version');
test(words, 'help', 'help');
test(words, 'add --help', 'help');
