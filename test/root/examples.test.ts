/** The lists of conf/ at work: added and deleted by cnitool in a host of its own, whose /run and /var/lib are its own too. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '#scripts/world/paths.ts';
import { SUBNET_ENV } from '#test/configs.ts';
import { BIN, ownProgram, TestNode } from '#test/node.ts';

const CONF = join(ROOT, 'conf');

/** What a list is tried with, and what must be seen of it. */
interface Example {
  readonly capabilities?: object;
  /** A shell's commands on the host, with $POD as the pod's namespace. */
  readonly look: string;
  readonly expected: RegExp;
}

const PORT = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] };
const LIMITS = {
  bandwidth: { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 8e6, egressBurst: 8e6 },
};
const IN_POD = 'nsenter --net=$POD';

/** Every list of the folder. */
const EXAMPLES: Readonly<Record<string, Example>> = {
  '10-flannel.conflist': {
    look: `${IN_POD} ip -br addr show eth0`,
    expected: /eth0\S* +UP +10\.244\.1\.2\/24/,
  },
  '11-flannel-portmap.conflist': {
    capabilities: PORT,
    look: 'nft list map ip cni_portmap targets',
    expected: /tcp \. 8080 : 10\.244\.1\.2 \. 80/,
  },
  '12-flannel-portmap-bandwidth.conflist': {
    capabilities: { ...PORT, ...LIMITS },
    look: 'tc qdisc show',
    expected: /qdisc tbf 1: dev veth[^]*qdisc tbf 1: dev bwp/,
  },
  '20-bridge.conflist': {
    look: `${IN_POD} ip route`,
    expected: /default via 10\.\d+\.\d+\.1 dev eth0/,
  },
  '30-dual-stack.conflist': {
    look: `${IN_POD} ip -br addr show eth0`,
    expected: /eth0\S* +UP +10\.[\d.]+\/\d+ fd/,
  },
  '40-static-ptp.conflist': {
    look: 'ip -br addr',
    expected: /veth\S+ +UP +10\.[\d.]+\/32 fd\S+\/128/,
  },
  '50-isolated.conflist': {
    look: 'iptables-save -t filter',
    expected:
      /-A CNI-FORWARD -s 10\.25\.0\.2\/32[^]*-A CNI-ISOLATION-STAGE-1 -i cni5 -o cni5 .*-j DROP/,
  },
  '60-tuned.conflist': {
    look: `${IN_POD} sysctl net.core.somaxconn`,
    expected: /somaxconn = 8192/,
  },
};

/** Files that stay for the next pod, of host-local, firewall and the folders' owners. */
const STAY = /^(\.\/)?(run|var\/lib)\/.*\/(lock|last_reserved_ip\.\d+|\.attachments.*)$/;

/** A host's own /run and /var/lib, with the namespaces and the folder that the test made; then the calls, in the order of a runtime. */
const script = (network: string, look: string): string => `set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/netns /mnt/folder
mount --rbind /run/netns /mnt/netns
mount --rbind "$FOLDER" /mnt/folder
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/flannel "$FOLDER"
mount --rbind /mnt/netns /run/netns
mount --rbind /mnt/folder "$FOLDER"
mount -t tmpfs tmpfs /var/lib
cp "$FOLDER/subnet.env" /run/flannel/
$CNITOOL add ${network} "$POD"
${look}
$CNITOOL del ${network} "$POD" >&2
$CNITOOL del ${network} "$POD" >&2
find /run /var/lib -xdev -type f > "$FOLDER/left"
`;

test('every list is tried', (t) => {
  const lists = readdirSync(CONF).filter((name) => name.endsWith('.conflist'));
  t.deepEqual(lists.toSorted(), Object.keys(EXAMPLES).toSorted());
});

for (const [name, { capabilities, look, expected }] of Object.entries(EXAMPLES)) {
  test(`${name} makes a pod, and leaves nothing of it`, async (t) => {
    await using node = await TestNode.create();
    const pod = await node.addPod('a');
    node.writeFile('subnet.env', SUBNET_ENV);
    mkdirSync(node.path('conf'));
    cpSync(join(CONF, name), node.path('conf', name));
    const { name: network } = JSON.parse(readFileSync(join(CONF, name), 'utf8')) as {
      name: string;
    };
    const env = [
      `CNITOOL=${ownProgram('cnitool').join(' ')}`,
      `CNI_PATH=${BIN ?? node.path('empty')}`,
      `NETCONFPATH=${node.path('conf')}`,
      `CAP_ARGS=${JSON.stringify(capabilities ?? {})}`,
      `FOLDER=${node.folder}`,
      `POD=${pod}`,
    ];
    const shell = ['unshare', '--mount', 'sh', '-c', script(network, look)];
    t.regex(await node.run('env', [...env, ...shell]), expected);
    const left = readFileSync(node.path('left'), 'utf8').split('\n');
    t.deepEqual(
      left.filter(
        (path) => path !== '' && !path.endsWith('/subnet.env') && !STAY.test(path.slice(1)),
      ),
      [],
    );
    t.deepEqual(await node.ip('link show type veth'), []);
    t.deepEqual(await node.ip('link show type ifb'), []);
    t.notRegex(await node.rules(), /10\.\d+\.\d+\.2\b|8080|CNI-/);
  });
}
