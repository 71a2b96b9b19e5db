/** One fault at a time: what the call answers, what is left, and whether the calls that follow put everything right. */
import type { Answer } from '#scripts/world/plugin-call.ts';
import { type DoorCall, type Fault, isChanging } from './fault.ts';
import { type Command, Stage } from './stage.ts';
import type { Subject } from './subjects.ts';

/** What one plugin's command went through. */
export interface Row {
  readonly title: string;
  readonly command: Command;
  readonly killPoints: number;
  readonly faults: number;
  /** What should not have been, in words. */
  readonly findings: readonly string[];
}

/** The errors that a call of each kind can meet. */
const ERRORS: Readonly<Record<DoorCall['kind'], readonly Fault['effect'][]>> = {
  create: ['ENOSPC', 'EIO', 'EACCES'],
  write: ['ENOSPC', 'EIO', 'EACCES'],
  remove: ['EIO', 'EACCES'],
  change: ['EAGAIN', 'ENOBUFS'],
  ask: ['EAGAIN', 'ENOBUFS'],
  answer: ['EAGAIN', 'ENOBUFS'],
  child: ['EAGAIN', 'EACCES'],
  print: ['EPIPE', 'ENOSPC'],
};

const kills = (calls: readonly DoorCall[]): Fault[] =>
  calls.flatMap((call, at) => (isChanging(call) ? [{ at, effect: 'SIGKILL' }] : []));

const errors = (calls: readonly DoorCall[]): Fault[] => [
  ...(calls.some(({ kind }) => kind === 'answer') ? [{ at: 0, effect: 'EINTR' } as const] : []),
  ...calls.flatMap(({ kind, what, isList }, at) => [
    ...ERRORS[kind].map((effect): Fault => ({ at, effect })),
    ...((kind === 'create' || kind === 'write') && !what.includes(' /proc/')
      ? [{ at, effect: 'ENOSPC', lasts: true } as const]
      : []),
    ...(isList === true
      ? ([
          { at, effect: 'DISTURBED' },
          { at, effect: 'DISTURBED', lasts: true },
        ] as const)
      : []),
  ]),
];

/** Which of the faults are tried: every `stride`th, the first one being number `offset`. */
export interface Selection {
  readonly stride: number;
  readonly offset: number;
}

const select = <T>(all: readonly T[], { stride, offset }: Selection): T[] =>
  all.filter((_, index) => index % stride === offset % Math.min(stride, all.length));

/** Lets a plugin meet its faults, one command after the other; `programs` is the folder of the plugins behind the door. */
export async function tryPlugin(
  subject: Subject,
  programs: string,
  selection: Selection,
): Promise<Row[]> {
  const stages = new Stages(subject, programs);
  await using _ended = stages;
  const calls = await stages.rehearse();
  const rows: Row[] = [];
  for (const command of ['ADD', 'DEL'] as const) {
    const findings: string[] = [];
    const note = async (fault: Fault, body: (stage: Stage) => Promise<string[]>) => {
      const found = await stages.on(body);
      const at = calls[command][fault.at];
      const lasting = fault.lasts === true ? ' from then on' : '';
      const place = `${subject.title} ${command}: ${fault.effect}${lasting} at call ${fault.at} (${at?.what})`;
      findings.push(...found.map((text) => `${place}: ${text}`));
    };
    const killed = select(kills(calls[command]), selection);
    const failed = select(errors(calls[command]), selection);
    for (const fault of killed) {
      await note(fault, command === 'ADD' ? killedAdd(fault) : killedDel(fault));
      if (command === 'ADD') await note(fault, repeatedAdd(fault));
    }
    for (const fault of failed) {
      await note(fault, command === 'ADD' ? failedAdd(fault) : failedDel(fault));
    }
    const row = { title: subject.title, command, killPoints: killed.length, faults: failed.length };
    rows.push({ ...row, findings });
  }
  return rows;
}

/** The stage that is used; a dirty one is replaced, so that no finding causes another. */
class Stages implements AsyncDisposable {
  readonly #subject: Subject;
  readonly #programs: string;
  #stage: Stage | undefined;

  constructor(subject: Subject, programs: string) {
    this.#subject = subject;
    this.#programs = programs;
  }

  async rehearse(): Promise<Record<Command, DoorCall[]>> {
    this.#stage = await Stage.create(this.#subject, this.#programs);
    return this.#stage.rehearse();
  }

  async on(body: (stage: Stage) => Promise<string[]>): Promise<string[]> {
    if (this.#stage === undefined) await this.rehearse();
    const stage = this.#stage as Stage;
    const found = await body(stage).catch((error: unknown) => [String(error)]);
    if (found.length === 0) await stage.reset();
    else {
      await stage[Symbol.asyncDispose]();
      this.#stage = undefined;
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stage?.[Symbol.asyncDispose]();
  }
}

/** What is wrong with an answer that should have been a success. */
const mustSucceed = (what: string, { exitCode, stdout, stderr }: Answer): string[] =>
  exitCode === 0 ? [] : [`${what} fails: ${oneLine(stdout)}${oneLine(stderr)}`];

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** What is wrong with an answer that may be an error: it has to be one of the protocol's. */
function mustBeProper({ exitCode, stdout, stderr, json }: Answer): string[] {
  const text = oneLine(stdout + stderr);
  if (/\bat .*:\d+:\d+|undefined|\[object/.test(text)) return [`it answers with a stack: ${text}`];
  if (exitCode === 0) return [];
  if (exitCode !== 1) return [`it ends with ${exitCode}: ${text}`];
  return typeof json?.code === 'number' && json.msg ? [] : [`it answers: ${text}`];
}

const prefixed = (what: string, found: readonly string[]): string[] => {
  const [first, ...more] = found;
  return first === undefined
    ? []
    : [`${what}: ${first}${more.length > 0 ? ` and ${more.length} more` : ''}`];
};

/** ADD, CHECK and DEL as if nothing had been. */
async function wholeLife(stage: Stage): Promise<string[]> {
  const added = await stage.call('ADD');
  const checked = await stage.call('CHECK', added.json);
  const deleted = await stage.call('DEL');
  return [
    ...mustSucceed('the next ADD', added),
    ...(added.exitCode === 0 ? mustSucceed('its CHECK', checked) : []),
    ...mustSucceed('its DEL', deleted),
    ...prefixed('after its DEL', await stage.left()),
  ];
}

const killedAdd =
  (fault: Fault) =>
  async (stage: Stage): Promise<string[]> => {
    await stage.fail('ADD', fault);
    const found = [...prefixed('torn', stage.torn()), ...(await goneAfterDel(stage))];
    return found.length > 0 ? found : wholeLife(stage);
  };

/** Without a DEL in between: it works, or it says what to do. */
const repeatedAdd =
  (fault: Fault) =>
  async (stage: Stage): Promise<string[]> => {
    await stage.fail('ADD', fault);
    const again = await stage.call('ADD');
    const checked =
      again.exitCode === 0
        ? mustSucceed('CHECK of the ADD after it', await stage.call('CHECK', again.json))
        : saysWhatToDo(again);
    return [...checked, ...(await goneAfterDel(stage))];
  };

const saysWhatToDo = ({ stdout, json }: Answer): string[] =>
  /\bDEL\b/.test(String(json?.details)) ? [] : [`the ADD after it says: ${oneLine(stdout)}`];

const killedDel =
  (fault: Fault) =>
  async (stage: Stage): Promise<string[]> => {
    const added = mustSucceed('ADD', await stage.call('ADD'));
    await stage.fail('DEL', fault);
    const torn = prefixed('torn', stage.torn());
    return [...added, ...torn, ...(await goneAfterDel(stage))];
  };

/** What ADD undoes asks for lists as well: as long as none can be had, it is left to DEL. */
const outlasts = ({ effect, lasts }: Fault): boolean => effect === 'DISTURBED' && lasts === true;

const failedAdd =
  (fault: Fault) =>
  async (stage: Stage): Promise<string[]> => {
    const answer = await stage.fail('ADD', fault);
    const proper = mustBeProper(answer);
    if (answer.exitCode === 0) {
      const checked = mustSucceed('CHECK', await stage.call('CHECK', answer.json));
      return [...proper, ...checked, ...(await goneAfterDel(stage))];
    }
    if (outlasts(fault)) return [...proper, ...(await goneAfterDel(stage))];
    return [...proper, ...prefixed('after the failure', await stage.left())];
  };

async function goneAfterDel(stage: Stage): Promise<string[]> {
  const deleted = mustSucceed('DEL', await stage.call('DEL'));
  return [...deleted, ...prefixed('after DEL', await stage.left())];
}

const failedDel =
  (fault: Fault) =>
  async (stage: Stage): Promise<string[]> => {
    const added = mustSucceed('ADD', await stage.call('ADD'));
    const answer = await stage.fail('DEL', fault);
    const found = [...added, ...mustBeProper(answer)];
    if (answer.exitCode === 0) {
      return [...found, ...prefixed('after its success', await stage.left())];
    }
    return [...found, ...(await goneAfterDel(stage))];
  };
