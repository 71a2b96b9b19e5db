/** The topology as a drawing, with the addresses that the pods have just got. */
import { LAN, LAN_BITS, type Node, NODES, OUTSIDE } from './plan.ts';

/** Inner width of a node's box; its halves hold a pod each. */
const WIDTH = 34;
const HALF = WIDTH / 2;
const GAP = '    ';

/** Where cables leave a box, counted from its left edge. */
const PORT = HALF + 1;

/** Inner width of the box of the host outside, which hangs between the nodes. */
const OUTSIDE_WIDTH = 26;

/** Draws nodes, pods and LAN. */
export function drawing(addresses: ReadonlyMap<string, string>): string {
  const boxes = NODES.map((node) => nodeBox(node, addresses));
  const [left = [], right = []] = boxes;
  const first = PORT;
  const second = WIDTH + 2 + GAP.length + PORT;
  const middle = (first + second) / 2;
  const cables = put(put('', first, '│'), second, '│');
  const lan = put(put(put('─'.repeat(second + PORT), first, '┴'), middle, '┬'), second, '┴');
  const indent = ' '.repeat(middle - OUTSIDE_WIDTH / 2 - 1);
  const lines = [
    ...left.map((line, index) => `${line}${GAP}${right[index] ?? ''}`),
    cables,
    `${lan} LAN ${LAN}`,
    ...outsideBox().map((line) => `${indent}${line}`),
  ];
  return lines.map((line) => `  ${line}`).join('\n');
}

function nodeBox({ name, pods, gateway, address }: Node, addresses: ReadonlyMap<string, string>) {
  const halves = (texts: readonly string[]) => texts.map((text) => center(text, HALF)).join('');
  const joint = (HALF / 2) | 0;
  const bus = put('─'.repeat(HALF + 1), HALF - joint, '┬');
  return [
    top(name, WIDTH),
    ...[
      halves(pods),
      halves(pods.map((pod) => addresses.get(pod) ?? '?')),
      put(put(' '.repeat(WIDTH), joint, '│'), joint + HALF, '│'),
      `${' '.repeat(joint)}└${bus.slice(1, -1)}┘`.padEnd(WIDTH),
      center(`cni0 ${gateway}`, WIDTH),
      center('routes, masquerades', WIDTH),
      center(`eth0 ${address}/${LAN_BITS}`, WIDTH),
    ].map((line) => `│${line}│`),
    put(bottom(WIDTH), PORT, '┬'),
  ];
}

const outsideBox = (): string[] => [
  put(top(OUTSIDE.name, OUTSIDE_WIDTH), OUTSIDE_WIDTH / 2 + 1, '┴'),
  `│${center(`eth0 ${OUTSIDE.address}/${LAN_BITS}`, OUTSIDE_WIDTH)}│`,
  `│${center('has no route to pods', OUTSIDE_WIDTH)}│`,
  bottom(OUTSIDE_WIDTH),
];

const top = (title: string, width: number): string => `┌─ ${title} `.padEnd(width + 1, '─') + '┐';
const bottom = (width: number): string => `└${'─'.repeat(width)}┘`;

const center = (text: string, width: number): string =>
  text.padStart((width + text.length) >> 1).padEnd(width);

/** Puts a character at a place of a line. */
const put = (line: string, at: number, character: string): string =>
  line.padEnd(at).slice(0, at) + character + line.slice(at + 1);
