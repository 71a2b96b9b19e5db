import test from 'ava';
import { Address } from '#lib/addr/address.ts';
import { parseMac } from '#lib/addr/mac.ts';
import { encodeGratuitousArp, encodeNeighbourAdvertisement } from '#lib/net/announce.ts';
import { decodeRoute } from '#lib/net/route.ts';
import { hex } from './fake-kernel.ts';

const mac = parseMac('02:00:00:00:00:01');

/** The frame for 10.1.0.2. */
const expected = (operation: string) =>
  hex(`ffffffffffff 020000000001 0806
    0001 0800 06 04 ${operation}
    020000000001 0a010002
    ffffffffffff 0a010002`);

test('gratuitous ARP, field by field (RFC 826, RFC 5227)', (t) => {
  const address = Address.parse('10.1.0.2');
  t.deepEqual(Buffer.from(encodeGratuitousArp(mac, address, 'REQUEST')), expected('0001'));
  t.deepEqual(Buffer.from(encodeGratuitousArp(mac, address, 'REPLY')), expected('0002'));
});

test('an unsolicited neighbour advertisement, field by field (RFC 4861)', (t) => {
  t.deepEqual(
    Buffer.from(encodeNeighbourAdvertisement(mac, Address.parse('fd00:1::2'))),
    hex(`333300000001 020000000001 86dd
      60000000 0020 3a ff
      fd000001000000000000000000000002
      ff020000000000000000000000000001
      88 00 5a97 20000000
      fd000001000000000000000000000002
      02 01 020000000001`),
  );
});

test('a route as `ip route show` gets it', (t) => {
  const body = hex(`02 18 00 00 fe 03 00 01 00000000
    0800 0f00 fe000000
    0800 0100 c0000200
    0800 0600 32000000
    1400 0800 0800 0200 14050000 0800 0800 b0040000
    0800 0500 0a010001
    0800 0400 02000000`);
  const route = decodeRoute({ type: 24, flags: 2, sequence: 1, body });
  t.is(String(route?.dst), '192.0.2.0/24');
  t.is(String(route?.gw), '10.1.0.1');
  t.like(route, { oif: 2, priority: 50, mtuBytes: 1300, advmssBytes: 1200, table: 254 });
});
