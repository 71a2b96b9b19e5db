/** CHECK: parameters and attributes have the values that were asked for. The first difference is named. */
import { openContainer } from '#lib/cni/attachment.ts';
import { CniError, CODE } from '#lib/cni/error.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { settings, type TuningConfig } from './config.ts';
import { attributesOf, differing, type LinkAttributes, requireLink } from './link-attributes.ts';
import { differentSysctls, shownValue, type Sysctl } from './sysctl.ts';

/** How the reference plugin calls them. */
const WORDS: Readonly<Record<keyof LinkAttributes, string>> = {
  mac: 'Ethernet',
  promisc: 'promiscuous mode',
  mtu: 'MTU',
  allmulti: 'all-multicast mode',
  txQLen: 'transmit queue length',
};

/** @throws CniError that names the first difference */
export function checkSettings(call: AttachmentCall<TuningConfig>): void {
  const { sysctls, wanted } = settings(call);
  using netns = openContainer(call.attachment);
  checkSysctls(netns, sysctls);
  if (differing(wanted, {}).length === 0) return;
  using rtnl = openRtnl(netns);
  const current = attributesOf(requireLink(rtnl, call.attachment));
  const [first] = differing(wanted, current);
  if (first === undefined) return;
  throw broken(`${WORDS[first]} of ${call.attachment.ifName}`, wanted[first], current[first]);
}

function checkSysctls(netns: Netns, sysctls: readonly Sysctl[]): void {
  const [first] = differentSysctls(netns, sysctls);
  if (first === undefined) return;
  const { key, name, value, current } = first;
  const shown = current === undefined ? undefined : shownValue(name, current);
  throw broken(`value of ${key}`, shownValue(name, value), shown);
}

type Value = string | number | boolean | undefined;

const broken = (what: string, wanted: Value, current: Value = 'none'): CniError =>
  new CniError(
    CODE.INTERNAL,
    `Tuning configured ${what} is ${wanted}, current value is ${current}`,
  );
