/** Figures of many calls, and what is told of them. */

/** Of several figures of one kind: the middle one, and between which the middle half lies. */
export interface Summary {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
  readonly count: number;
}

/** Summarizes figures; there is at least one. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  /** Between the two that lie next to it. */
  const at = (part: number): number => {
    const place = (sorted.length - 1) * part;
    const [below = 0, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return below + (above - below) * (place % 1);
  };
  return {
    median: at(0.5),
    lower: at(0.25),
    upper: at(0.75),
    count: values.length,
  };
}
