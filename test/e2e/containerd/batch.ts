/** Many calls, a few at a time, as a kubelet makes them. */

/** Does something to each, so many at a time, in order. @throws what the first failure throws */
export async function eachOf<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const workers = Array.from({ length: atOnce }, async () => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await act(items[index] as Item);
    }
  });
  await Promise.all(workers);
  return results;
}
