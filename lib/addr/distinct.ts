/** Lists without repetitions. */

/**
 * The items whose keys differ, in their order: of several with one key the first. The key is by
 * default an item's text.
 */
export function distinct<T>(items: Iterable<T>, keyOf: (item: T) => string = String): T[] {
  const first = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    if (!first.has(key)) first.set(key, item);
  }
  return [...first.values()];
}
