/** cnitool: adds containers to networks by hand, as a runtime does. */
export function cnitool(args: readonly string[]): void {
  throw new Error(`not yet: ${args.join(' ')}`);
}
