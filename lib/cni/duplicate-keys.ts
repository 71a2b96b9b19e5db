/** Keys that an object of a JSON text has twice: a parser keeps the last and says nothing. */

/** Strings, brackets, colons and commas, and between them numbers and names. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

/** An object or a list that is open at a place in the text. */
interface Open {
  /** Its keys so far; lists have none. */
  readonly keys: Set<string> | undefined;
  /** The key, or the number, of the value that comes next. */
  place: string;
  isKeyNext: boolean;
}

/**
 * The keys that come twice, as paths from the top: ["args", "cni", "mac"]. Keys are the same if all
 * of their characters are. The text must be JSON that was parsed without an error.
 */
export function duplicateKeys(json: string): string[][] {
  const duplicates: string[][] = [];
  const open: Open[] = [];
  for (const [token] of json.matchAll(TOKEN)) {
    const inner = open.at(-1);
    if (token === '{') open.push({ keys: new Set(), place: '', isKeyNext: true });
    else if (token === '[') open.push({ keys: undefined, place: '0', isKeyNext: false });
    else if (token === '}' || token === ']') open.pop();
    else if (inner === undefined) continue;
    else if (token === ':') inner.isKeyNext = false;
    else if (token === ',') nextValue(inner);
    else if (inner.isKeyNext && isRepeated(inner, token)) {
      duplicates.push(open.map(({ place }) => place));
    }
  }
  return duplicates;
}

function nextValue(inner: Open): void {
  if (inner.keys === undefined) inner.place = String(Number(inner.place) + 1);
  else inner.isKeyNext = true;
}

function isRepeated(inner: Open, token: string): boolean {
  inner.place = JSON.parse(token) as string;
  const isKnown = inner.keys?.has(inner.place) === true;
  inner.keys?.add(inner.place);
  return isKnown;
}
