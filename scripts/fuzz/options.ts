/** What a run of the fuzzing is asked for. */

export interface FuzzOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Runs of each property; undefined: as many as fit into the time. */
  readonly runs: number | undefined;
  /** A text that the names of properties must have in them. */
  readonly only: string;
  /** The moment's work that is part of the tests: so many runs as each property says, of those that need a node. */
  readonly short: boolean;
}
