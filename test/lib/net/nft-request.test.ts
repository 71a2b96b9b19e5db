/** nf_tables requests against what `nft` 1.0.6 sends on Linux 6.18: the same headers and attributes. */
import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { Prefix } from '#lib/addr/prefix.ts';
import {
  loadAddress,
  lookupVerdict,
  masquerade,
  matchPrefix,
  verdict,
} from '#lib/net/nft-expression.ts';
import { BATCH, nft } from '#lib/net/nft-message.ts';
import { BATCH_BEGIN, BATCH_END, nftMatches } from './captured.ts';

const table = { family: 'ip', name: 't' } as const;

test(
  'nft add chain ip t post { type nat hook postrouting priority 100; }',
  nftMatches,
  nft.addChain(table, 'post', { type: 'nat', hook: 'postrouting', priority: 100 }),
  `${BATCH_BEGIN}
   44000000 030a 0104 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0300 706f737400 000000
     0800 0700 6e617400
     1400 0480 0800 0100 00000004 0800 0200 00000064
   ${BATCH_END}`,
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
  `${BATCH_BEGIN}
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
   ${BATCH_END}`,
  {},
);

test(
  'nft add rule ip t post ip daddr 10.1.16.0/20 return',
  nftMatches,
  nft.addRule(table, 'post', [
    ...matchPrefix('daddr', Prefix.parse('10.1.16.0/20')),
    verdict({ code: 'return' }),
  ]),
  `${BATCH_BEGIN}
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
   ${BATCH_END}`,
  {},
);

test(
  'nft add rule ip t post ip saddr vmap @pods',
  nftMatches,
  // Without NFTA_LOOKUP_SET_ID, which nft adds: only sets without a name need it.
  nft.addRule(table, 'post', [loadAddress('saddr', 4), lookupVerdict('pods')]),
  `${BATCH_BEGIN}
   90000000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     6800 0480
       3400 0180 0c00 0100 7061796c6f616400 2400 0280
         0800 0100 00000001 0800 0200 00000001 0800 0300 0000000c 0800 0400 00000004
       3000 0180 0b00 0100 6c6f6f6b757000 00 2000 0280
         0800 0200 00000001 0800 0300 00000000 0900 0100 706f647300 000000
   ${BATCH_END}`,
  {},
);

test(
  'nft add rule ip t post masquerade',
  nftMatches,
  nft.addRule(table, 'post', [masquerade()]),
  `${BATCH_BEGIN}
   40000000 060a 010c 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f737400 000000
     1800 0480 1400 0180 0900 0100 6d61737100 000000 0400 0280
   ${BATCH_END}`,
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
  `${BATCH_BEGIN}
   5c000000 0c0a 0106 01000000 00000000 02 00 0000
     0600 0100 7400 0000
     0900 0200 706f647300 000000
     3400 0380 3000 0180
       0c00 0180 0800 0100 0a010002
       1800 0280 1400 0280 0800 0100 fffffffc 0600 0200 6300 0000
       0800 0600 00027800
   ${BATCH_END}`,
  {},
);

test('a batch is bounded by the subsystem number in network order', (t) => {
  t.deepEqual([...BATCH.begin.body], [0, 0, 0, 10]);
});
