/** Giving an interface back the values of its backup: what DEL does, and an ADD that failed. */
import { type Attachment, openContainerIfAny } from '#lib/cni/attachment.ts';
import { step } from '#lib/cni/error.ts';
import { getLink } from '#lib/net/link.ts';
import { openRtnl } from '#lib/net/rtnl.ts';
import { lifetimeId } from '#lib/sys/netns.ts';
import { type Backup, backupPath, deleteBackup, isOf, readBackup } from './backup.ts';
import { restoreAttributes } from './link-attributes.ts';

/**
 * Restores an interface from its backup and removes that; with the interface or its namespace gone
 * there is nothing to restore. If it can't be restored the backup stays, so that this may be tried
 * again. @throws CniError, SysError
 */
export function restoreFromBackup(folder: string, attachment: Attachment): void {
  const path = backupPath(folder, attachment);
  const backup = readBackup(path);
  if (backup !== undefined) {
    step(`failed to restore "${attachment.ifName}" from "${path}"`, () =>
      restore(attachment, backup),
    );
  }
  deleteBackup(path);
}

function restore(attachment: Attachment, backup: Backup): void {
  using netns = openContainerIfAny(attachment);
  // The values of an interface that went with its namespace are not those of another one.
  if (netns === undefined || !isOf(backup, { id: lifetimeId(netns) })) return;
  using rtnl = openRtnl(netns);
  const link = getLink(rtnl, attachment.ifName);
  if (link !== undefined) restoreAttributes(rtnl, link, backup.former);
}
