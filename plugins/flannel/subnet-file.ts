/**
 * The node's subnet.env: the plugin waits for it while the daemon starts, and its errors say what
 * to do.
 */
import { CniError, CODE, toCniError } from '#lib/cni/error.ts';
import { parseSubnetEnv, type SubnetEnv, SubnetEnvError } from '#lib/flannel/subnet-env.ts';
import { poll } from '#lib/sys/clock.ts';
import { SysError } from '#lib/sys/error.ts';
import { dirname, readText, readTextIfAny, statIfAny } from '#lib/sys/file.ts';
import { instanceOf, recover } from '#lib/sys/recover.ts';

/** A daemon that is starting needs a moment; kubelet tries again anyway. */
const WAIT_LIMIT_MS = 3_000;
const WAIT_POLL_MS = 50;

/**
 * Reads the file, for which it waits a moment if it is not there. @throws CniError TRY_AGAIN_LATER
 */
export function awaitSubnetEnv(path: string): SubnetEnv {
  poll(() => statIfAny(path), { everyMs: WAIT_POLL_MS, limitMs: WAIT_LIMIT_MS });
  return loadSubnetEnv(path);
}

/** Reads the file as it is now. @throws CniError TRY_AGAIN_LATER that tells what is wrong */
export function loadSubnetEnv(path: string): SubnetEnv {
  try {
    return parseSubnetEnv(readText(path), path);
  } catch (error) {
    const { message } = toCniError(error);
    const advice = error instanceof SubnetEnvError ? error.advice : '';
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `failed to load flannel 'subnet.env' file: ${message}. Check the flannel pod log for this node.`,
      advice || adviceFor(path),
      { cause: error },
    );
  }
}

/**
 * Reads the file for a call that can do without: undefined for one that is missing or can't be
 * read.
 */
export function loadSubnetEnvIfAny(path: string): SubnetEnv | undefined {
  const load = (): SubnetEnv | undefined => {
    const text = readTextIfAny(path);
    return text === undefined ? undefined : parseSubnetEnv(text, path);
  };
  return recover(load, instanceOf(SubnetEnvError, SysError));
}

function adviceFor(path: string): string {
  if (statIfAny(dirname(path)) === undefined) {
    return `the folder "${dirname(path)}" does not exist: flanneld has not run since this node booted (journalctl -u flanneld), or "subnetFile" is wrong`;
  }
  if (statIfAny(path) === undefined) {
    return `flanneld has not got a subnet for this node yet: does the node have a podCIDR, does flanneld reach its store?`;
  }
  return '';
}
