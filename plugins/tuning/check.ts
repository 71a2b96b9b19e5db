/** CHECK: parameters and attributes have the values that were asked for. */
import { openContainer } from '#lib/cni/attachment.ts';
import { broken, type Finding, type Findings } from '#lib/cni/finding.ts';
import type { AttachmentCall } from '#lib/cni/plugin.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { settings, type TuningConfig } from './config.ts';
import {
  attributesOf,
  differing,
  type LinkAttributes,
  namesIn,
  requireLink,
} from './link-attributes.ts';
import { differentSysctls, shownValue } from './sysctl.ts';

/** The reference plugin's words for the attributes. */
const WORDS: Readonly<Record<keyof LinkAttributes, string>> = {
  mac: 'Ethernet',
  promisc: 'promiscuous mode',
  mtu: 'MTU',
  allmulti: 'all-multicast mode',
  txQLen: 'transmit queue length',
};

/**
 * Finds the settings that have another value. @throws CniError without the container's namespace or
 * interface
 */
export function* checkSettings(call: AttachmentCall<TuningConfig>): Findings {
  const { sysctls, wanted } = settings(call);
  using netns = openContainer(call.attachment);
  for (const { key, name, value, current } of differentSysctls(netns, sysctls)) {
    const shown = current === undefined ? undefined : shownValue({ name, value: current });
    yield different(`value of ${key}`, { wanted: shownValue({ name, value }), current: shown });
  }
  if (namesIn(wanted).length === 0) return;
  using rtnl = openRtnl(netns);
  const current = attributesOf(requireLink(rtnl, call.attachment));
  for (const name of differing({ wanted, current })) {
    const what = `${WORDS[name]} of ${call.attachment.ifName}`;
    yield different(what, { wanted: wanted[name], current: current[name] });
  }
}

type Value = string | number | boolean | undefined;

const different = (
  what: string,
  { wanted, current }: Readonly<Record<'wanted' | 'current', Value>>,
): Finding =>
  broken(`Tuning configured ${what} is ${wanted}, current value is ${current ?? 'none'}`);
