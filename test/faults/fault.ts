/** Faults of the operating system, as the harness asks for them and the door makes them happen. */

/** What a call through the door does. `answer` is a netlink datagram that the kernel sends; `print` is standard output. */
export type CallKind =
  | 'create'
  | 'write'
  | 'remove'
  | 'change'
  | 'ask'
  | 'answer'
  | 'child'
  | 'print';

/** A call that a plugin made, in the order in which it made them. */
export interface DoorCall {
  readonly kind: CallKind;
  /** The function, and the path or type of message: for people. */
  readonly what: string;
  /** Of an answer: whether it is part of a list. */
  readonly isList?: boolean;
  /** Of a change of files, what it takes to do it again. */
  readonly change?: FileChange;
}

/** A change of files. */
export type FileChange =
  | { readonly op: 'mkdir' | 'open' | 'unlink'; readonly path: string }
  | { readonly op: 'write'; readonly path: string; readonly content: string }
  | { readonly op: 'link' | 'rename'; readonly path: string; readonly to: string }
  | { readonly op: 'utimes'; readonly path: string; readonly seconds: number };

/** The calls after which the system is another one. */
const CHANGING: ReadonlySet<CallKind> = new Set(['create', 'write', 'remove', 'change', 'child']);

/** Whether a call changes the system. */
export const isChanging = ({ kind }: DoorCall): boolean => CHANGING.has(kind);

/** What happens to the call with this number, counted from 0; EINTR happens to every netlink call, the first time it is made. */
export interface Fault {
  readonly at: number;
  /**
   * SIGKILL comes after the call; DISTURBED marks a list as changed while it was read; anything else is the errno that the call
   * fails with, having done nothing. The datagram of an answer is lost.
   */
  readonly effect:
    | 'SIGKILL'
    | 'DISTURBED'
    | 'EINTR'
    | 'EAGAIN'
    | 'ENOBUFS'
    | 'ENOSPC'
    | 'EIO'
    | 'EACCES'
    | 'EPIPE';
  /** Whether all later calls of the same kinds meet the same: a disk stays full. */
  readonly lasts?: boolean;
}

/** The variables that tell the door what to do, and where to write the list of calls. */
export const FAULT_VARIABLE = 'CNI_TEST_FAULT';
export const TRACE_VARIABLE = 'CNI_TEST_TRACE';
