/** nf_tables requests against what `nft` 1.0.6 sends on Linux 6.18: the same headers and attributes. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import { decodeMessages } from '#lib/net/message.ts';
import type { Request } from '#lib/net/netlink.ts';
import {
  loadAddress,
  lookupVerdict,
  masquerade,
  matchPrefix,
  verdict,
} from '#lib/net/nft-expression.ts';
import { BATCH, nft } from '#lib/net/nft-message.ts';
import { Nftables } from '#lib/net/nftables.ts';
import { ack, fakeNetlink, hex, tree } from './fake-kernel.ts';

const table = { family: 'ip', name: 't' } as const;

/** nft sends a batch; acknowledgements it asks for in other ways. */
const nftMatches = test.macro(
  (t, request: Request, captured: string, nested: Readonly<Record<string, number>>) => {
    const { netlink, requests } = fakeNetlink(({ type }) => (type < 0x100 ? [] : [ack()]));
    new Nftables(netlink).commit([request]);
    const theirs = decodeMessages(hex(captured));
    t.is(requests.length, 3);
    for (const index of [0, 2]) {
      t.is(requests[index]?.type, theirs[index]?.type);
      t.deepEqual(Buffer.from(requests[index]?.body ?? []), Buffer.from(theirs[index]?.body ?? []));
    }
    t.is(requests[1]?.type, theirs[1]?.type);
    t.is((requests[1]?.flags ?? 0) & ~0x4, theirs[1]?.flags ?? -1);
    const attributes = (body?: Uint8Array) => tree((body ?? Buffer.alloc(0)).subarray(4), nested);
    t.deepEqual(attributes(requests[1]?.body), attributes(theirs[1]?.body));
  },
);

const begin = '14000000 1000 0100 00000000 00000000 00 00 000a';
const end = '14000000 1100 0100 02000000 00000000 00 00 000a';

test(
  'nft add chain ip t post { type nat hook postrouting priority 100; }',
  nftMatches,
  nft.addChain(table, 'post', { type: 'nat', hook: 'postrouting', priority: 100 }),
  `${begin}
   44000000 030a 0104 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0300 706f737400 000000
     0800 0700 6e617400
     1400 0480 0800 0100 00000004 0800 0200 00000064
   ${end}`,
  { '4': 0 },
);

test(
  'nft add rule ip t post ip daddr 10.1.0.9 return comment "x"',
  nftMatches,
  nft.addRule(
    table,
    'post',
    [...matchPrefix('daddr', Prefix.parse('10.1.0.9/32')), verdict({ code: 'return' })],
    'x',
  ),
  `${begin}
   c4000000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     9400 0480
       3400 0180 0c00 0100 7061796c6f616400 2400 0280
         0800 0100 00000001 0800 0200 00000001 0800 0300 00000010 0800 0400 00000004
       2c00 0180 0800 0100 636d7000 2000 0280
         0800 0100 00000001 0800 0200 00000000 0c00 0380 0800 0100 0a010009
       3000 0180 0e00 0100 696d6d65646961746500 0000 1c00 0280
         0800 0100 00000000 1000 0280 0c00 0280 0800 0100 fffffffb
     0800 0700 00027800
   ${end}`,
  {},
);

test(
  'nft add rule ip t post ip daddr 10.1.16.0/20 return',
  nftMatches,
  nft.addRule(table, 'post', [
    ...matchPrefix('daddr', Prefix.parse('10.1.16.0/20')),
    verdict({ code: 'return' }),
  ]),
  `${begin}
   00010000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     d800 0480
       3400 0180 0c00 0100 7061796c6f616400 2400 0280
         0800 0100 00000001 0800 0200 00000001 0800 0300 00000010 0800 0400 00000004
       4400 0180 0c00 0100 6269747769736500 3400 0280
         0800 0100 00000001 0800 0200 00000001 0800 0300 00000004
         0c00 0480 0800 0100 fffff000 0c00 0580 0800 0100 00000000
       2c00 0180 0800 0100 636d7000 2000 0280
         0800 0100 00000001 0800 0200 00000000 0c00 0380 0800 0100 0a011000
       3000 0180 0e00 0100 696d6d65646961746500 0000 1c00 0280
         0800 0100 00000000 1000 0280 0c00 0280 0800 0100 fffffffb
   ${end}`,
  {},
);

test(
  'nft add rule ip t post ip saddr vmap @pods',
  nftMatches,
  // Without NFTA_LOOKUP_SET_ID, which nft adds: only sets without a name need it.
  nft.addRule(table, 'post', [loadAddress('saddr', 4), lookupVerdict('pods')]),
  `${begin}
   90000000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     6800 0480
       3400 0180 0c00 0100 7061796c6f616400 2400 0280
         0800 0100 00000001 0800 0200 00000001 0800 0300 0000000c 0800 0400 00000004
       3000 0180 0b00 0100 6c6f6f6b757000 00 2000 0280
         0800 0200 00000001 0800 0300 00000000 0900 0100 706f647300 000000
   ${end}`,
  {},
);

test(
  'nft add rule ip t post masquerade',
  nftMatches,
  nft.addRule(table, 'post', [masquerade()]),
  `${begin}
   40000000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     1800 0480 1400 0180 0900 0100 6d61737100 000000 0400 0280
   ${end}`,
  {},
);

test(
  'nft add element ip t pods { 10.1.0.2 comment "x" : goto c }',
  nftMatches,
  nft.addElement(table, 'pods', {
    key: Address.parse('10.1.0.2').toBytes(),
    value: { code: 'goto', chain: 'c' },
    comment: 'x',
  }),
  `${begin}
   5c000000 0c0a 0106 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f647300 000000
     3400 0380 3000 0180
       0c00 0180 0800 0100 0a010002
       1800 0280 1400 0280 0800 0100 fffffffc 0600 0200 6300 0000
       0800 0600 00027800
   ${end}`,
  {},
);

test('a batch is bounded by the subsystem number in network order', (t) => {
  t.deepEqual([...BATCH.begin.body], [0, 0, 0, 10]);
});
