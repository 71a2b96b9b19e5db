/** What the tests call beside our own programs. */

/** Commands that the tests call, and the Debian packages that have them. */
export const TEST_TOOLS = {
  ip: 'iproute2',
  mount: 'mount',
  nft: 'nftables',
  iptables: 'iptables',
  unshare: 'util-linux',
  strip: 'binutils',
  strace: 'strace',
  '/usr/bin/time': 'time',
  firewalld: 'firewalld',
  'dbus-daemon': 'dbus',
  busctl: 'systemd',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  containerd: 'containerd',
  runc: 'runc',
  '/bin/busybox': 'busybox-static',
};
