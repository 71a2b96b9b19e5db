/**
 * tuning: sets kernel parameters and attributes of a container's interface. Chained. CNI SPEC §2;
 * example: conf/60-tuned.conflist.
 */
import { openContainer } from '#lib/cni/attachment.ts';
import { toCniError } from '#lib/cni/error.ts';
import { unavailable } from '#lib/cni/finding.ts';
import { type AttachmentCall, definePlugin } from '#lib/cni/plugin.ts';
import { requirePrevResult } from '#lib/cni/prev-result.ts';
import type { Result } from '#lib/cni/result.ts';
import { SPEC_VERSIONS } from '#lib/cni/version.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import type { Netns } from '#lib/sys/netns.ts';
import { readAllowList, requireAllowed } from './allow-list.ts';
import { gcBackups, saveBackup } from './backup.ts';
import { checkSettings } from './check.ts';
import { backupFolder, settings, TuningConfig, TuningTeardown } from './config.ts';
import { type LinkAttributes, namesIn, requireLink, setAttributes } from './link-attributes.ts';
import { restoreFromBackup } from './restore.ts';
import { setSysctls } from './sysctl.ts';

type TuningCall = AttachmentCall<TuningConfig>;

const NO_PREV_RESULT = 'Required prevResult missing';

export const tuning = definePlugin({
  name: 'tuning',
  versions: SPEC_VERSIONS,
  config: TuningConfig,
  teardown: TuningTeardown,

  add(call) {
    const prevResult = requirePrevResult(call, NO_PREV_RESULT);
    const { sysctls, wanted } = settings(call);
    requireAllowed(sysctls.map(({ key }) => key));
    using netns = openContainer(call.attachment);
    using undo = new DisposableStack();
    setSysctls(netns, sysctls, undo);
    if (namesIn(wanted).length > 0) tuneLink(call, netns, wanted, undo);
    undo.move();
    return withAttributes(prevResult, call, wanted);
  },

  *check(call) {
    requirePrevResult(call, NO_PREV_RESULT);
    yield* checkSettings(call);
  },

  del: ({ config, attachment }) => restoreFromBackup(backupFolder(config), attachment),

  gc: (call) => gcBackups(backupFolder(call.config), call),

  *status() {
    try {
      readAllowList();
    } catch (error) {
      const { message } = toCniError(error);
      const reason = `Cannot tell which sysctls are allowed: ${message}`;
      yield unavailable(reason);
    }
  },
});

function tuneLink(
  { attachment, config }: TuningCall,
  netns: Netns,
  wanted: LinkAttributes,
  undo: DisposableStack,
): void {
  using rtnl = openRtnl(netns);
  const link = requireLink(rtnl, attachment);
  undo.defer(() => restoreFromBackup(backupFolder(config), attachment));
  saveBackup(backupFolder(config), attachment, link, wanted);
  setAttributes(rtnl, netns, link, wanted);
}

/** The result with the values that the container's interface has now. */
const withAttributes = (
  result: Result,
  { attachment }: TuningCall,
  { mac, mtu }: LinkAttributes,
): Result => ({
  ...result,
  interfaces: result.interfaces.map((link) =>
    link.name === attachment.ifName && link.sandbox
      ? { ...link, mac: mac ?? link.mac, mtu: mtu ?? link.mtu }
      : link,
  ),
});
