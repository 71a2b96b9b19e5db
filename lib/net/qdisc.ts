/**
 * Queueing disciplines and filters of interfaces (linux/pkt_sched.h, linux/pkt_cls.h): limiting a
 * rate, redirecting packets.
 */
import { attr, type Attribute, Attributes, encodeAttributes, viewOf } from './attribute.ts';
import type { Link } from './link.ts';
import { type Message, NLM_F } from './message.ts';
import { absentAsUndefined, type Netlink } from './netlink.ts';
import { RTM } from './rtnl.ts';

/** linux/rtnetlink.h, linux/pkt_sched.h */
const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TC_H_ROOT = 0xffff_ffff;
const TC_H_INGRESS = 0xffff_fff1;
const TCMSG_BYTES = 20;
const TCMSG_HANDLE = 8;

/** linux/pkt_cls.h: TC_U32_NODE */
const U32_NODE_MASK = 0xfff;

/** Handles: 1: for the bucket, ffff: for the ingress qdisc. */
const BUCKET_HANDLE = 0x0001_0000;
const INGRESS_HANDLE = 0xffff_0000;

/** The two places of filters in a clsact qdisc: ingress and egress. */
const TC_H_CLSACT = [0xffff_fff2, 0xffff_fff3] as const;

/** linux/pkt_sched.h: attributes of tbf, and struct tc_tbf_qopt with its two struct tc_ratespec. */
const TCA_TBF = { PARMS: 1, RATE64: 4 } as const;
const QOPT = { RATE: 8, LIMIT: 24, BUFFER: 28, BYTES: 36 } as const;

/**
 * linux/pkt_cls.h, linux/tc_act/tc_mirred.h: attributes and structures of a u32 filter with an
 * action mirred.
 */
const TCA_U32 = { CLASSID: 1, SEL: 5, ACT: 7 } as const;
const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;
const TC_U32_TERMINAL = 1;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;
const MIRRED = { ACTION: 8, EACTION: 20, IFINDEX: 24, BYTES: 28 } as const;

/** linux/if_ether.h */
const ETH_P_ALL = 0x0003;

const UINT32_MAX = 0xffff_ffff;

/**
 * A token bucket: packets pass at a rate, more at once while there are tokens, and wait in a queue.
 */
export interface TokenBucket {
  readonly bytesPerSecond: number;
  /** Size of the bucket, as the time that its tokens last, in the scheduler's ticks. */
  readonly bufferTicks: number;
  /** Length of the queue. */
  readonly limitBytes: number;
}

interface Place {
  readonly index: number;
  readonly parent: number;
  readonly handle?: number;
  readonly info?: number;
}

/** struct tcmsg and attributes. */
function encode(place: Place, attributes: readonly Attribute[]): Uint8Array {
  const bytes = Buffer.alloc(TCMSG_BYTES);
  bytes.writeInt32LE(place.index, 4);
  bytes.writeUInt32LE(place.handle ?? 0, 8);
  bytes.writeUInt32LE(place.parent, 12);
  bytes.writeUInt32LE(place.info ?? 0, 16);
  return Buffer.concat([bytes, encodeAttributes(attributes)]);
}

const attributesOf = ({ body }: Message): Attributes =>
  Attributes.decode(body.subarray(TCMSG_BYTES));

/**
 * Limits the packets that leave by an interface, in place of any other qdisc. As `tc qdisc replace
 * dev DEV root tbf`. @throws NetlinkError
 */
export function replaceTokenBucket(
  rtnl: Netlink,
  { name, index }: Link,
  bucket: TokenBucket,
): void {
  const parameters = Buffer.alloc(QOPT.BYTES);
  parameters.writeUInt32LE(Math.min(bucket.bytesPerSecond, UINT32_MAX), QOPT.RATE);
  parameters.writeUInt32LE(bucket.limitBytes, QOPT.LIMIT);
  parameters.writeUInt32LE(bucket.bufferTicks, QOPT.BUFFER);
  const isWide = bucket.bytesPerSecond > UINT32_MAX;
  rtnl.request({
    op: `replace qdisc tbf dev ${name}`,
    type: RTM.NEWQDISC,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    body: encode({ index, parent: TC_H_ROOT, handle: BUCKET_HANDLE }, [
      attr.text(TCA.KIND, 'tbf'),
      attr.nested(TCA.OPTIONS, [
        attr.bytes(TCA_TBF.PARMS, parameters),
        ...(isWide ? [attr.u64(TCA_TBF.RATE64, BigInt(bucket.bytesPerSecond))] : []),
      ]),
    ]),
  });
}

/** The qdisc for packets that leave by an interface. */
export interface Qdisc {
  readonly kind: string;
  /** Whether it is the kernel's default, which nobody chose. */
  readonly isDefault: boolean;
  /** Of kind tbf. */
  readonly bucket: TokenBucket | undefined;
}

/**
 * The qdisc for packets that leave by an interface; undefined if the interface is gone. As `tc
 * qdisc show dev DEV root`. @throws NetlinkError
 */
export function getRootQdisc(rtnl: Netlink, { name, index }: Link): Qdisc | undefined {
  const request = {
    op: `show qdisc dev ${name}`,
    type: RTM.GETQDISC,
    // Without this flag the kernel answers all listeners but us.
    flags: NLM_F.ECHO,
    body: encode({ index, parent: TC_H_ROOT }, []),
  };
  const [message] = absentAsUndefined(() => rtnl.request(request)) ?? [];
  return message && decodeQdisc(message);
}

/** Reads an RTM_NEWQDISC. @throws MalformedMessage */
function decodeQdisc(message: Message): Qdisc {
  const attributes = attributesOf(message);
  const kind = attributes.text(TCA.KIND) ?? '';
  return {
    kind,
    isDefault: viewOf(message.body, TCMSG_BYTES).getUint32(TCMSG_HANDLE, true) === 0,
    // Options of other kinds need not be attributes.
    bucket: kind === 'tbf' ? decodeTokenBucket(attributes.nested(TCA.OPTIONS)) : undefined,
  };
}

function decodeTokenBucket(options: Attributes): TokenBucket | undefined {
  const parameters = options.bytes(TCA_TBF.PARMS);
  if (parameters === undefined || parameters.length < QOPT.BYTES) return undefined;
  const view = viewOf(parameters);
  const wide = options.u64(TCA_TBF.RATE64);
  return {
    bytesPerSecond: wide === undefined ? view.getUint32(QOPT.RATE, true) : Number(wide),
    bufferTicks: view.getUint32(QOPT.BUFFER, true),
    limitBytes: view.getUint32(QOPT.LIMIT, true),
  };
}

/**
 * Deletes the root qdisc; the kernel puts its default in its place. As `tc qdisc del dev DEV root`.
 * @throws NetlinkError
 */
export const deleteRootQdisc = (rtnl: Netlink, link: Link): void =>
  deleteQdisc(rtnl, link, TC_H_ROOT);

/**
 * Deletes the ingress qdisc with its filters. As `tc qdisc del dev DEV ingress`.
 * @throws NetlinkError
 */
export const deleteIngressQdisc = (rtnl: Netlink, link: Link): void =>
  deleteQdisc(rtnl, link, TC_H_INGRESS);

/** How the kernel says that there is no qdisc: EINVAL where there is none but the default. */
const NO_QDISC = ['ENOENT', 'EINVAL', 'ENODEV'];

/** Absence is accepted. */
function deleteQdisc(rtnl: Netlink, { name, index }: Link, parent: number): void {
  const body = encode({ index, parent }, []);
  const request = { op: `delete qdisc dev ${name}`, type: RTM.DELQDISC, body };
  absentAsUndefined(() => rtnl.request(request), NO_QDISC);
}

/**
 * Adds an ingress qdisc, which filters need. As `tc qdisc add dev DEV ingress`.
 * @throws NetlinkError, EEXIST if there is one
 */
export function addIngressQdisc(rtnl: Netlink, { name, index }: Link): void {
  rtnl.request({
    op: `add qdisc ingress dev ${name}`,
    type: RTM.NEWQDISC,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    body: encode({ index, parent: TC_H_INGRESS, handle: INGRESS_HANDLE }, [
      attr.text(TCA.KIND, 'ingress'),
    ]),
  });
}

/**
 * Sends all packets that come in by interface `from` out by interface `to` instead. Needs the
 * ingress qdisc. As `tc filter add dev FROM parent ffff: prio 1 u32 match u32 0 0 flowid 1:1 action
 * mirred egress redirect dev TO`. @throws NetlinkError
 */
export function addRedirect(rtnl: Netlink, { from, to }: { from: Link; to: Link }): void {
  // struct tc_u32_sel with one key that compares nothing.
  const selector = Buffer.alloc(16 + 16);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  const mirred = Buffer.alloc(MIRRED.BYTES);
  mirred.writeInt32LE(TC_ACT_STOLEN, MIRRED.ACTION);
  mirred.writeInt32LE(TCA_EGRESS_REDIR, MIRRED.EACTION);
  mirred.writeUInt32LE(to.index, MIRRED.IFINDEX);
  const action = attr.nested(1, [
    attr.text(TCA_ACT.KIND, 'mirred'),
    attr.nested(TCA_ACT.OPTIONS, [attr.bytes(TCA_MIRRED_PARMS, mirred)]),
  ]);
  rtnl.request({
    op: `add filter dev ${from.name}`,
    type: RTM.NEWTFILTER,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    body: encode({ index: from.index, parent: INGRESS_HANDLE, info: filterInfo }, [
      attr.text(TCA.KIND, 'u32'),
      attr.nested(TCA.OPTIONS, [
        attr.u32(TCA_U32.CLASSID, 0x0001_0001),
        attr.bytes(TCA_U32.SEL, selector),
        attr.nested(TCA_U32.ACT, [action]),
      ]),
    ]),
  });
}

/** Priority 1, and the protocol in network order. */
const filterInfo = (1 << 16) | (((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8));

/** A filter: the indexes of the interfaces that it redirects packets to. */
export interface Filter {
  readonly redirects: readonly number[];
}

/**
 * The filters of an interface's ingress qdisc, or of a clsact in its place. As `tc filter show dev
 * DEV ingress`. @throws NetlinkError
 */
export const listFilters = (rtnl: Netlink, link: Link): Filter[] =>
  [INGRESS_HANDLE, ...TC_H_CLSACT].flatMap((parent) => filtersOf(rtnl, link, parent));

function filtersOf(rtnl: Netlink, { name, index }: Link, parent: number): Filter[] {
  const body = encode({ index, parent }, []);
  const request = { op: `show filters dev ${name}`, type: RTM.GETTFILTER, body };
  // Without an ingress qdisc there is nothing to list.
  return (absentAsUndefined(() => rtnl.dump(request), NO_QDISC) ?? []).flatMap(decodeFilter);
}

/** Reads an RTM_NEWTFILTER; none for a hash table of filters. @throws MalformedMessage */
function decodeFilter(message: Message): Filter[] {
  const attributes = attributesOf(message);
  const handle = viewOf(message.body, TCMSG_BYTES).getUint32(TCMSG_HANDLE, true);
  // u32 keeps its filters in hash tables, whose handles have no node.
  const isU32 = attributes.text(TCA.KIND) === 'u32';
  if (handle === 0 || (isU32 && (handle & U32_NODE_MASK) === 0)) return [];
  const actions = isU32 ? attributes.nested(TCA.OPTIONS).nested(TCA_U32.ACT).list : [];
  return [{ redirects: actions.flatMap(({ value }) => decodeRedirect(Attributes.decode(value))) }];
}

function decodeRedirect(action: Attributes): number[] {
  const mirred = action.nested(TCA_ACT.OPTIONS).bytes(TCA_MIRRED_PARMS);
  if (action.text(TCA_ACT.KIND) !== 'mirred') return [];
  if (mirred === undefined || mirred.length < MIRRED.BYTES) return [];
  return [viewOf(mirred).getUint32(MIRRED.IFINDEX, true)];
}
